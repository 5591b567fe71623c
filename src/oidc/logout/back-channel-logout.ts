import { errors, type Client, Provider } from 'oidc-provider';
import type { Announce } from '../../events/events.ts';
import type { Clock } from '../../lib/clock.ts';
import { sha256 } from '../../lib/hash.ts';
import type { Lease } from '../../storage/lease.ts';
import { QueueWorker } from '../../storage/queue-worker.ts';
import { keyspace, type Index, type Key, type Store } from '../../storage/store.ts';
import { pauseAfter, WorkQueue } from '../../storage/work-queue.ts';

/** The method of the engine's `Client` that sends a logout token. The engine's types omit it. */
type SendToken = (this: Client, account: string, sid: string) => Promise<void>;

/** A logout to deliver: the app, the account, and the app's own id (`sid`) for the session. */
interface Logout {
  client: string;
  account: string;
  sid: string;
}

/**
 * A logout that an app has not accepted yet. Each attempt signs a new logout token, because the token is short-lived.
 */
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

/** Seconds before each further attempt. If the attempt after the last pause fails, the server drops the delivery. */
const PAUSES = [3, 10, 60, 300, 1800, 7200];
const LIFE = 86_400;
/** Milliseconds for which a sending node holds its lease. */
const LEASE = 10_000;
const POLL_INTERVAL = 1000;
/** Maximum number of deliveries that one node attempts at the same time. */
const AT_ONCE = 200;

/**
 * Stores a logout that is due at once. While it is stored, another call for the same app and session stores nothing.
 */
export async function storeLogout(grants: Store, clock: Clock, logout: Logout): Promise<Key<Delivery>> {
  const key = deliveryKey(sha256(`${logout.client} ${logout.sid}`));
  await openDeliveries({ grants, clock }).add(key, { ...logout, attempts: 0, dueAt: clock.now() });
  return key;
}

/** Opens the queue of deliveries. @param claim changes a delivery before each attempt */
function openDeliveries(
  { grants: store, clock }: Pick<LogoutDependencies, 'grants' | 'clock'>,
  claim?: (now: Delivery) => Promise<Delivery>,
): WorkQueue<Delivery> {
  const rules = { store, clock, index: allDeliveries, life: LIFE, lease: LEASE };
  return new WorkQueue({ ...rules, ...(claim !== undefined && { claim }) });
}

export interface BackChannelLogout {
  /**
   * Sets the current provider, which signs and sends the tokens. @param send the engine's own method, which does both
   */
  sendBy(provider: Provider, send: SendToken): void;
  /** Queues an app's logout, and tries to deliver it at once. */
  tell(logout: Logout): Promise<void>;
  /** Tries these deliveries at once. The worker tries failed ones and all others later. */
  deliver(keys: readonly Key<Delivery>[]): Promise<void>;
  close(): Promise<void>;
}

interface LogoutDependencies {
  grants: Store;
  announce: Announce;
  clock: Clock;
  /** Called if the store is unavailable. The worker tries its deliveries later. */
  reportFailure: (error: unknown) => void;
}

/**
 * Back-channel logout that survives an app's outage (OpenID Connect Back-Channel Logout 1.0 §2.5). The server stores a
 * logout first. Any node then tries to deliver it, until the app accepts it or no attempt is left.
 */
export function backChannelLogout(dependencies: LogoutDependencies): BackChannelLogout {
  const { grants, clock, announce, reportFailure } = dependencies;
  let send: Send | undefined;
  // The count and the address are stored before the attempt, so that a crash during the attempt loses neither.
  const deliveries = openDeliveries(dependencies, async (now) => {
    const calls = await send?.callsOf(now.client);
    return { ...(calls !== undefined && { calls }), ...now, attempts: now.attempts + 1 };
  });
  const worker = new QueueWorker(deliveries, {
    work: async (lease) => {
      if (send !== undefined) await attempt(send, lease, { announce, clock });
    },
    ...{ pollInterval: POLL_INTERVAL, atOnce: AT_ONCE, reportFailure },
  });
  const deliver = async (keys: readonly Key<Delivery>[]): Promise<void> => {
    if (send !== undefined) await worker.now(keys);
  };

  return {
    sendBy(provider, engine) {
      send = sender(provider, engine);
      worker.start();
    },
    async tell(logout) {
      await deliver([await storeLogout(grants, clock, logout)]);
    },
    deliver,
    close: () => worker.close(),
  };
}

/** Replaces the engine's method, which tries to send a logout token only once. */
export function tellLater(
  engine: SendToken,
  { provider, logouts }: { provider: Provider; logouts: Pick<BackChannelLogout, 'sendBy' | 'tell'> },
): SendToken {
  logouts.sendBy(provider, engine);
  return async function backchannelLogout(account, sid) {
    // The revocation of a whole session notifies all of its apps.
    if (!isWholeSignOut()) await logouts.tell({ client: this.clientId, account, sid });
  };
}

interface Send {
  /** Returns the hash of the client's logout address; undefined if the client has none or cannot be used. */
  callsOf(client: string): Promise<string | undefined>;
  /** @throws AddressChanged, or the failure of the request */
  tell(delivery: Delivery): Promise<void>;
}

/**
 * Thrown if the client has registered another logout address since the first attempt: the logout was meant for the
 * earlier one.
 */
class AddressChanged extends Error {
  constructor() {
    super('the address of the client has changed since the first attempt');
  }
}

function sender({ Client }: Provider, send: SendToken): Send {
  return {
    async callsOf(id) {
      const uri = (await Client.find(id).catch(unlessInvalid))?.backchannelLogoutUri;
      return uri === undefined ? undefined : sha256(uri);
    },
    async tell({ client: id, account, sid, calls }) {
      const client = await Client.find(id);
      const uri = client?.backchannelLogoutUri;
      if (client === undefined || uri === undefined) return;
      if (calls !== undefined && calls !== sha256(uri)) throw new AddressChanged();
      await send.call(client, account, sid);
    },
  };
}

/** Ignores the error of an unusable client. Its delivery is then retried like any other. */
function unlessInvalid(error: unknown): undefined {
  if (!(error instanceof errors.OIDCProviderError)) throw error;
  return undefined;
}

async function attempt(
  send: Send,
  lease: Lease<Delivery>,
  { announce, clock }: Pick<LogoutDependencies, 'announce' | 'clock'>,
): Promise<void> {
  const { client, attempts: attempt } = lease.value;
  try {
    await send.tell(lease.value);
  } catch (error) {
    const pause = error instanceof AddressChanged ? undefined : pauseAfter(attempt, PAUSES);
    const reason = error instanceof Error ? error.message : 'unknown';
    announce({ type: 'logout.undelivered', client, attempt, reason, givenUp: pause === undefined });
    if (pause === undefined) await lease.done();
    else await lease.reschedule((now) => ({ ...now, dueAt: clock.now() + pause }));
    return;
  }
  announce({ type: 'logout.delivered', client, attempt });
  await lease.done();
}

const SIGN_OUT: readonly string[] = ['end_session', 'end_session_confirm'];

/** Tells whether the current request is part of a sign-out. */
export function isSignOut(): boolean {
  return SIGN_OUT.includes(Provider.ctx?.oidc.route ?? '');
}

/** Tells whether the current request ends the whole session, and not only one app's part of it. */
export function isWholeSignOut(): boolean {
  return isSignOut() && Provider.ctx?.oidc.params?.['logout'] !== undefined;
}
