import { errors, type Client, type Provider } from 'oidc-provider';
import type { Announce } from '../../events/events.ts';
import type { Clock } from '../../lib/clock.ts';
import { sha256 } from '../../lib/hash.ts';
import { keyspace, type Index, type Key, type Store, type Stored } from '../../storage/store.ts';
import { isWholeSignOut } from './whole-sign-out.ts';

/** The engine's client can send its own logout token; its types do not say so. */
type SendToken = (this: Client, account: string, sid: string) => Promise<void>;

/** A logout to deliver: the app, and its own name (`sid`) for the session. */
export interface Logout {
  client: string;
  account: string;
  sid: string;
}

/** A logout token that an app has not taken yet. The token itself is made again for each attempt, since it is short-lived. */
export interface Delivery extends Logout {
  /** Number of attempts so far. */
  attempts: number;
  /** Time of the next attempt, in milliseconds since the epoch. */
  dueAt: number;
  /** SHA-256 of the address that the first attempt called. */
  calls?: string;
}

const deliveryKey = keyspace<Delivery>('logout-delivery');
const allDeliveries: Index<Delivery> = 'logout-deliveries';

/** Seconds before each further attempt, longer than one takes; after the last the app is given up. */
const PAUSES = [3, 10, 60, 300, 1800, 7200];
const LIFE = 86_400;
const LOOK_EVERY = 1000;

/** Keeps what an app is to be told, due at once; once, however often it is asked for before the app has taken it. */
export async function keepLogout(grants: Store, clock: Clock, logout: Logout): Promise<Key<Delivery>> {
  const key = deliveryKey(sha256(`${logout.client} ${logout.sid}`));
  const delivery = { ...logout, attempts: 0, dueAt: clock.now() };
  await grants.create(key, delivery, { ttl: LIFE, indexes: [allDeliveries] });
  return key;
}

export interface BackChannelLogout {
  /**
   * Takes a provider as the current one: it makes and sends the tokens.
   * @param send the engine's own way to send one
   */
  sendBy(provider: Provider, send: SendToken): void;
  /** Keeps what an app of a session is to be told, and tries it at once. */
  tell(logout: Logout): Promise<void>;
  /** Tries at once what is kept under these names; what fails is tried again, as is what nobody calls this for. */
  deliver(keys: readonly Key<Delivery>[]): Promise<void>;
  close(): Promise<void>;
}

interface Parts {
  grants: Store;
  announce: Announce;
  clock: Clock;
  /** Told when the store was away: what was kept in it is tried again later. */
  reportFailure: (error: unknown) => void;
}

/**
 * Back-channel logout that outlives an app's outage (OpenID Connect Back-Channel Logout 1.0 §2.5): what an app is to be
 * told is kept in the store first, and tried by whichever node gets to it first until the app takes it.
 */
export function backChannelLogout(parts: Parts): BackChannelLogout {
  const { grants, clock, reportFailure } = parts;
  let looking: Promise<void> = Promise.resolve();
  let send: Send | undefined;
  // A page at a time, and on from there: apps that stay away must not hide what is due to the others.
  let after: string | undefined;
  const look = async (): Promise<void> => {
    if (send === undefined) return;
    const { keys, next } = await grants.members(allDeliveries, after === undefined ? {} : { after });
    after = next;
    const found = await grants.getMany(keys);
    const sending = send;
    await Promise.all(keys.map((key, index) => attempt(sending, parts, key, found[index])));
  };
  const timer = setInterval(() => {
    looking = looking.then(look).catch(reportFailure);
  }, LOOK_EVERY).unref();
  const deliver = async (keys: readonly Key<Delivery>[]): Promise<void> => {
    const sending = send;
    if (sending === undefined) return;
    await Promise.all(keys.map(async (key) => attempt(sending, parts, key, await grants.get(key))));
  };

  return {
    sendBy(provider, engine) {
      send = sender(provider, engine);
    },
    async tell(logout) {
      await deliver([await keepLogout(grants, clock, logout)]);
    },
    deliver,
    async close() {
      clearInterval(timer);
      await looking;
    },
  };
}

/** Takes the place of the engine's own sending, which is tried once. */
export function tellLater(
  engine: SendToken,
  { provider, logouts }: { provider: Provider; logouts: Pick<BackChannelLogout, 'sendBy' | 'tell'> },
): SendToken {
  logouts.sendBy(provider, engine);
  return async function backchannelLogout(account, sid) {
    // With a session as a whole, all of its apps are told.
    if (!isWholeSignOut()) await logouts.tell({ client: this.clientId, account, sid });
  };
}

interface Send {
  /** The address at which the client is told now; undefined where it is gone, or is told no more. */
  addressOf(client: string): Promise<string | undefined>;
  tell(delivery: Delivery): Promise<void>;
}

function sender({ Client }: Provider, send: SendToken): Send {
  return {
    addressOf: async (id) => (await Client.find(id).catch(unlessInvalid))?.backchannelLogoutUri,
    async tell({ client: id, account, sid }) {
      const client = await Client.find(id);
      if (client?.backchannelLogoutUri !== undefined) await send.call(client, account, sid);
    },
  };
}

/** A client that cannot be used for now is tried again as long as others. */
function unlessInvalid(error: unknown): undefined {
  if (!(error instanceof errors.OIDCProviderError)) throw error;
  return undefined;
}

async function attempt(
  send: Send,
  parts: Parts,
  key: Key<Delivery>,
  stored: Stored<Delivery> | undefined,
): Promise<void> {
  const { grants, clock } = parts;
  if (stored === undefined || stored.value.dueAt > clock.now()) return;
  const attempts = stored.value.attempts + 1;
  const dueAt = clock.now() + (PAUSES[attempts - 1] ?? 0) * 1000;
  const address = await send.addressOf(stored.value.client);
  const calls = address === undefined ? {} : { calls: sha256(address) };
  // A logout for one address must not go to another address that the client registers later.
  const hasMoved = 'calls' in calls && stored.value.calls !== undefined && stored.value.calls !== calls.calls;
  const delivery = { ...calls, ...stored.value, attempts, dueAt };
  // Whoever moves the due time has the attempt; other nodes find it not due.
  const isMine = await grants.replace(key, delivery, stored.version, { ttl: LIFE, indexes: [allDeliveries] });
  if (isMine && (await isSettled(send, parts, delivery, hasMoved))) await grants.delete(key);
}

/** @returns whether nothing is left to do: it was delivered, or given up */
async function isSettled(send: Send, { announce }: Parts, delivery: Delivery, hasMoved: boolean): Promise<boolean> {
  const { attempts, client } = delivery;
  if (hasMoved) {
    const reason = 'the address of the client has changed since the first attempt';
    announce({ type: 'logout.undelivered', client, attempt: attempts, reason, givenUp: true });
    return true;
  }
  try {
    await send.tell(delivery);
    announce({ type: 'logout.delivered', client, attempt: attempts });
    return true;
  } catch (error) {
    const givenUp = attempts > PAUSES.length;
    const reason = error instanceof Error ? error.message : 'unknown';
    announce({ type: 'logout.undelivered', client, attempt: attempts, reason, givenUp });
    return givenUp;
  }
}
