import type { ClientConfig } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import { equalInConstantTime, sha256 } from '../lib/hash.ts';
import type { Random } from '../lib/random.ts';
import type { Index, Store, Stored, WriteOptions } from '../storage/store.ts';
import { clientKey, everyClient, register, type Client, type ClientRecord, type Registration } from './clients.ts';

/** Clients that registered themselves. Each expires some time after its last use. */
export interface RegisteredClients {
  /**
   * Makes room for one more client. If the limit is reached, removes the unused client that would expire first.
   * @returns false if every client is in use; concurrent calls may exceed the limit by a few
   */
  makeRoom(): Promise<boolean>;
  add(client: ClientConfig, registration: Registration): Promise<Client>;
  /**
   * Opens a client for the bearer of its registration access token. @returns undefined if the client does not exist,
   * did not register itself, or has another access token
   */
  open(clientId: string, accessToken: string): Promise<OpenClient | undefined>;
  /** Extends the life of a client that is in use. */
  renew(clientId: string): Promise<void>;
}

export interface OpenClient {
  readonly client: Client;
  /**
   * Replaces the client's metadata. The client keeps its secret if it still needs one. @returns undefined if the client
   * was changed or removed meanwhile
   */
  replace(client: ClientConfig, softwareStatement: string | undefined): Promise<Client | undefined>;
  remove(): Promise<unknown>;
}

/**
 * Seconds that a new client may wait for its first use. The time is short, because anybody can register any number of
 * clients.
 */
const UNUSED_LIFE = 3600;

const registeredClients: Index<ClientRecord> = 'registered-clients';

const lives = (ttl: number): WriteOptions => ({ ttl, indexes: [everyClient, registeredClients] });

export function openRegisteredClients(dependencies: {
  records: Store;
  clock: Clock;
  random: Random;
  /** Seconds after the last use until a client disappears. */
  unused: number;
  /** Largest number of self-registered clients. */
  most: number;
}): RegisteredClients {
  const { records, clock, random, unused, most } = dependencies;
  const remaining = (stored: Stored<ClientRecord>): number => secondsLeft(stored, clock);
  /** Tells whether a client was never used, or not for a long time: little of its lifetime is then left. */
  const isUnused = (stored: Stored<ClientRecord>): boolean => remaining(stored) <= Math.min(UNUSED_LIFE, unused / 2);

  return {
    makeRoom: async () => (await countUpTo(records, most)) < most || displaceFirst(records, isUnused),
    async add(config, registration) {
      const client = { ...register(config, random), registration };
      await records.set(clientKey(client.client_id), client, lives(Math.min(UNUSED_LIFE, unused)));
      return client;
    },
    async open(clientId, accessToken) {
      const stored = await records.get(clientKey(clientId));
      const registration = stored?.value.registration;
      if (stored === undefined || registration === undefined) return undefined;
      if (!equalInConstantTime(registration.access_token_hash, sha256(accessToken))) return undefined;
      return openClient(stored, registration);
    },
    async renew(clientId) {
      const stored = await records.get(clientKey(clientId));
      // Renews a client only once half of its lifetime has passed, to avoid a write for every token.
      if (stored?.expiresAt === undefined || remaining(stored) > unused / 2) return;
      await records.replace(clientKey(clientId), stored.value, stored.version, lives(unused));
    },
  };

  function openClient(stored: Stored<ClientRecord>, registration: Registration): OpenClient {
    const { value: before, version } = stored;
    const key = clientKey(before.client_id);
    return {
      client: before,
      async replace(config, statement) {
        const keepsSecret = config.secret !== undefined && before.secret_hash !== undefined;
        const client = {
          ...register(config, random),
          ...(keepsSecret && { secret_hash: before.secret_hash }),
          registration: { ...registration, ...(statement !== undefined && { software_statement: statement }) },
        };
        // A change of metadata does not count as use. Otherwise an unused client could live for ever.
        const ttl = isUnused(stored) ? Math.max(1, remaining(stored)) : unused;
        return (await records.replace(key, client, version, lives(ttl))) ? client : undefined;
      },
      remove: () => records.delete(key),
    };
  }
}

async function countUpTo(records: Store, most: number): Promise<number> {
  let count = 0;
  let after: string | undefined;
  do {
    const page = await records.members(registeredClients, { limit: 1000, ...(after !== undefined && { after }) });
    count += page.keys.length;
    after = page.next;
  } while (after !== undefined && count < most);
  return count;
}

/** Removes the client that would expire first, if it is unused. @returns whether it did */
async function displaceFirst(records: Store, isUnused: (stored: Stored<ClientRecord>) => boolean): Promise<boolean> {
  const { keys } = await records.members(registeredClients, { limit: 20 });
  const first = (await records.getMany(keys)).find((stored) => stored !== undefined);
  return first !== undefined && isUnused(first) && records.delete(clientKey(first.value.client_id));
}

function secondsLeft({ expiresAt = 0 }: Stored<ClientRecord>, clock: Clock): number {
  return (expiresAt - clock.now()) / 1000;
}
