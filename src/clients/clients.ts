import { signsWithSecret } from '../config/sections/client-auth-checks.ts';
import type { ClientConfig } from '../config/schema.ts';
import { Secret } from '../config/secret.ts';
import type { Random } from '../lib/random.ts';
import { seal, unseal } from '../lib/seal.ts';
import { everyRecord } from '../storage/every-member.ts';
import { keyspace, type Index, type Store, type WriteOptions } from '../storage/store.ts';
import { equalInConstantTime, hmacSha256 } from '../lib/hash.ts';

/** A registered client: its configuration, with hashes in place of its secrets. */
export type Client = Omit<ClientConfig, 'secret' | 'previous_secret'> & {
  secret_hash?: string;
  previous_secret_hash?: string;
  /** The secret itself, if it is a signing key (RFC 7518 §3.2). */
  signing_secret?: Secret;
  /** Present if the client registered itself (RFC 7591). */
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
  /** Clients of the configuration file, which are known without the store. */
  readonly configured: readonly Client[];
  find(clientId: string): Promise<Client | undefined>;
  /** Iterates over the clients in the store. */
  stored(): AsyncIterable<Client>;
  /** Stores a client and replaces one with the same id. @returns false if the configuration has that id */
  save(client: ClientConfig): Promise<boolean>;
  /** Removes a client from the store. @returns whether the store had it */
  remove(clientId: string): Promise<boolean>;
  /** Disables a client of the store or of the configuration, until `enable` is called. */
  disable(clientId: string): Promise<void>;
  /** Enables a disabled client. @returns whether it was disabled */
  enable(clientId: string): Promise<boolean>;
  isDisabled(clientId: string): Promise<boolean>;
}

export interface ClientsOptions {
  records: Store;
  configured: readonly ClientConfig[];
  random: Random;
  /** Returns the ring's sealing key for `CLIENT_SECRETS`. Called only if the server needs a client's secret itself. */
  sealingKey: () => Promise<string>;
}

/** Label of the ring's sealing key for client secrets. */
export const CLIENT_SECRETS = 'client secrets';

export const clientKey = keyspace<ClientRecord>('client');
export const everyClient: Index<ClientRecord> = 'clients';
/** Write options for a client that an operator stored. It has no expiry. */
export const durableClient: WriteOptions = { indexes: [everyClient] };
/** The mark of a disabled client. It is a separate record, because a client of the configuration has no record. */
const disabledKey = keyspace<{ disabled: true }>('disabled-client');

/**
 * Opens the clients. A look-up begins with the configuration, so that a stored record cannot take the id of a
 * configured client.
 */
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

/**
 * Returns a client with hashes in place of its secrets. A secret that signs is kept too, and a secret that the command
 * did not read is left out.
 */
export function register(config: ClientConfig, random: Random): Client {
  const { secret, previous_secret: previous, ...client } = config;
  return {
    ...client,
    ...(secret?.isRead === true && { secret_hash: hashClientSecret(secret.reveal(), random) }),
    ...(previous?.isRead === true && { previous_secret_hash: hashClientSecret(previous.reveal(), random) }),
    ...(secret && signsWithSecret(config) && { signing_secret: secret }),
  };
}

/**
 * Returns the origins from which a browser may call this client's endpoints: the listed ones, and those of its redirect
 * URIs.
 */
export function originsOf(client: Client): ReadonlySet<string> {
  const redirectOrigins = client.redirect_uris.map((uri) => new URL(uri).origin).filter((origin) => origin !== 'null');
  return new Set([...client.allowed_origins, ...redirectOrigins]);
}

/**
 * Returns the stored form of a client secret: `salt.hash`. Client secrets are long and random, so a fast keyed hash is
 * enough. A slow one would let anybody keep the token endpoint busy with wrong secrets.
 */
export function hashClientSecret(secret: string, random: Random): string {
  const salt = random.bytes(16).toString('base64url');
  return `${salt}.${hmacSha256(salt, secret)}`;
}

/** Tells in constant time whether `hash` was made from `secret`. */
export function isClientSecret(hash: string, secret: string): boolean {
  const [salt, expected] = hash.split('.');
  if (salt === undefined || expected === undefined) return false;
  return equalInConstantTime(hmacSha256(salt, secret), expected);
}
