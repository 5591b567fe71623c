import { signsWithSecret } from '../config/client-auth-checks.ts';
import type { ClientConfig } from '../config/schema.ts';
import { Secret } from '../config/secret.ts';
import type { Random } from '../lib/random.ts';
import { seal, unseal } from '../lib/seal.ts';
import { everyRecord } from '../storage/every-member.ts';
import { keyspace, type Index, type Store, type WriteOptions } from '../storage/store.ts';
import { hashClientSecret } from './client-secret.ts';

/** A registered client: its configuration, with its secrets only as hashes, newest first. */
export type Client = Omit<ClientConfig, 'secret' | 'previous_secret'> & {
  secret_hash?: string;
  previous_secret_hash?: string;
  /** The secret itself, where signatures are made with it (RFC 7518 §3.2). */
  signing_secret?: Secret;
  /** Of a client that registered itself (RFC 7591). */
  registration?: Registration;
};

export interface Registration {
  /** In seconds since the epoch. */
  issued_at: number;
  /** SHA-256 of the registration access token, with which the client manages itself (RFC 7592). */
  access_token_hash: string;
  software_statement?: string;
}

export type ClientRecord = Omit<Client, 'signing_secret'> & { sealed_secret?: string };

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
  /** Keeps a client from being used, one of the configuration too, until it is enabled. */
  disable(clientId: string): Promise<void>;
  /** @returns whether it was disabled */
  enable(clientId: string): Promise<boolean>;
  isDisabled(clientId: string): Promise<boolean>;
}

export interface ClientsOptions {
  records: Store;
  configured: readonly ClientConfig[];
  random: Random;
  /** Asked for only where a client's secret must be read back; `CLIENT_SECRETS` of the key ring. */
  sealingKey: () => Promise<string>;
}

/** Label of the ring's sealing key for client secrets. */
export const CLIENT_SECRETS = 'client secrets';

export const clientKey = keyspace<ClientRecord>('client');
export const everyClient: Index<ClientRecord> = 'clients';
/** One that an operator put into the store stays until it is taken out. */
export const durableClient: WriteOptions = { indexes: [everyClient] };
/** By itself, since a client of the configuration has no record. */
const disabledKey = keyspace<{ disabled: true }>('disabled-client');

/** Clients of the configuration come first: a record in the store cannot take the name of one. */
export function openClients(options: ClientsOptions): Clients {
  const { records, random, sealingKey } = options;
  const configured = new Map(options.configured.map((client) => [client.client_id, register(client, random)]));
  const opened = async ({ sealed_secret: sealed, ...client }: ClientRecord): Promise<Client> =>
    sealed === undefined ? client : { ...client, signing_secret: new Secret(unseal(await sealingKey(), sealed)) };
  return {
    configured: [...configured.values()],
    async find(clientId) {
      const known = configured.get(clientId);
      if (known !== undefined) return known;
      const stored = await records.get(clientKey(clientId));
      return stored && opened(stored.value);
    },
    async *stored() {
      for await (const { value } of everyRecord(records, everyClient)) yield opened(value);
    },
    async save(client) {
      if (configured.has(client.client_id)) return false;
      const { signing_secret: secret, ...record } = register(client, random);
      const sealed = secret && { sealed_secret: seal(await sealingKey(), secret.reveal(), random) };
      await records.set(clientKey(client.client_id), { ...record, ...sealed }, durableClient);
      return true;
    },
    remove: (clientId) => records.delete(clientKey(clientId)),
    disable: (clientId) => records.set(disabledKey(clientId), { disabled: true }),
    enable: (clientId) => records.delete(disabledKey(clientId)),
    isDisabled: async (clientId) => (await records.get(disabledKey(clientId))) !== undefined,
  };
}

/** The client as it is kept: secrets only as hashes, and none of those that a command spared. */
export function register(config: ClientConfig, random: Random): Client {
  const { secret, previous_secret: previous, ...client } = config;
  return {
    ...client,
    ...(secret?.isRead === true && { secret_hash: hashClientSecret(secret.reveal(), random) }),
    ...(previous?.isRead === true && { previous_secret_hash: hashClientSecret(previous.reveal(), random) }),
    ...(secret && signsWithSecret(config) && { signing_secret: secret }),
  };
}

/** The origins from which a browser may call this client's endpoints: those listed and those of its redirect URIs. */
export function originsOf(client: Client): ReadonlySet<string> {
  const redirectOrigins = client.redirect_uris.map((uri) => new URL(uri).origin).filter((origin) => origin !== 'null');
  return new Set([...client.allowed_origins, ...redirectOrigins]);
}
