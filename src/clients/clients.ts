import type { ClientConfig } from '../config/schema.ts';
import type { Random } from '../lib/random.ts';
import { everyMember } from '../storage/every-member.ts';
import { keyspace, type Index, type Store } from '../storage/store.ts';
import { hashClientSecret } from './client-secret.ts';

/** A registered client: its configuration, with the secret only as a hash. */
export type Client = Omit<ClientConfig, 'secret'> & { secret_hash?: string };

export interface Clients {
  /** Those of the configuration file, which are known without the store. */
  readonly configured: readonly Client[];
  find(clientId: string): Promise<Client | undefined>;
  /** Those in the store. */
  stored(): AsyncIterable<Client>;
  /** Puts a client into the store, over one of the same name. @returns false when the configuration has that name */
  save(client: ClientConfig): Promise<boolean>;
  /** @returns whether the store had it */
  remove(clientId: string): Promise<boolean>;
}

const clientKey = keyspace<Client>('client');
const everyClient: Index<Client> = 'clients';

/** Clients of the configuration come first: a record in the store cannot take the name of one. */
export function openClients(options: { records: Store; configured: readonly ClientConfig[]; random: Random }): Clients {
  const { records, random } = options;
  const configured = new Map(options.configured.map((client) => [client.client_id, register(client, random)]));
  return {
    configured: [...configured.values()],
    async find(clientId) {
      return configured.get(clientId) ?? (await records.get(clientKey(clientId)))?.value;
    },
    async *stored() {
      for await (const keys of everyMember(records, everyClient)) {
        for (const stored of await records.getMany(keys)) if (stored !== undefined) yield stored.value;
      }
    },
    async save(client) {
      if (configured.has(client.client_id)) return false;
      await records.set(clientKey(client.client_id), register(client, random), { indexes: [everyClient] });
      return true;
    },
    remove: (clientId) => records.delete(clientKey(clientId)),
  };
}

function register({ secret, ...client }: ClientConfig, random: Random): Client {
  if (secret === undefined) return client;
  return { ...client, secret_hash: hashClientSecret(secret.reveal(), random) };
}

/** The origins from which a browser may call this client's endpoints: those listed and those of its redirect URIs. */
export function originsOf(client: Client): ReadonlySet<string> {
  const redirectOrigins = client.redirect_uris.map((uri) => new URL(uri).origin).filter((origin) => origin !== 'null');
  return new Set([...client.allowed_origins, ...redirectOrigins]);
}
