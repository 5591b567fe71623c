import type { Client, Provider } from 'oidc-provider';
import type { Announce } from '../../events/events.ts';
import type { Clock } from '../../lib/clock.ts';
import { newId } from '../../lib/ids.ts';
import type { Random } from '../../lib/random.ts';
import { keyspace, type Index, type Store } from '../../storage/store.ts';

/** The engine's client can send its own logout token; its types do not say so. */
type LogoutClient = Client & { backchannelLogout(account: string, sid: string): Promise<void> };

/** A logout token that an app has not taken yet. The token itself is made anew for each attempt, since it is short-lived. */
interface Delivery {
  client: string;
  account: string;
  sid: string;
  /** How many attempts were made. */
  attempts: number;
  /** When the next one is due, in milliseconds since the epoch. */
  dueAt: number;
}

const deliveryKey = keyspace<Delivery>('logout-delivery');
const allDeliveries: Index<Delivery> = 'logout-deliveries';

/** Seconds before each further attempt; after the last the app is given up. */
const PAUSES = [2, 10, 60, 300, 1800, 7200];
const LIFE = 86_400;
const LOOK_EVERY = 1000;

export interface BackChannelLogout {
  /** Takes a provider as the current one, and listens to it for deliveries that failed. */
  watch(provider: Provider): void;
  close(): Promise<void>;
}

/**
 * Back-channel logout that outlives an app's outage (OpenID Connect Back-Channel Logout 1.0 §2.5). The engine tries once,
 * while the person waits; what fails is kept in the store and tried again by whichever node gets to it first.
 */
export function backChannelLogout(parts: {
  grants: Store;
  announce: Announce;
  clock: Clock;
  random: Random;
  /** Told when the store was away: what was kept in it is tried again later. */
  reportFailure: (error: unknown) => void;
}): BackChannelLogout {
  const { grants, announce, clock, random, reportFailure } = parts;
  let looking: Promise<void> = Promise.resolve();
  let current: Provider | undefined;
  const keep = async (delivery: Omit<Delivery, 'attempts' | 'dueAt'>): Promise<void> => {
    const key = deliveryKey(newId('lod', clock, random));
    const dueAt = clock.now() + (PAUSES[0] ?? 0) * 1000;
    await grants.create(key, { ...delivery, attempts: 1, dueAt }, { ttl: LIFE, indexes: [allDeliveries] });
  };
  // A page at a time, and on from there: apps that stay away must not hide what is due to the others.
  let after: string | undefined;
  const look = async (): Promise<void> => {
    if (current !== undefined) after = await deliverDue(current, parts, after);
  };
  const timer = setInterval(() => {
    looking = looking.then(look).catch(reportFailure);
  }, LOOK_EVERY).unref();

  return {
    watch(provider) {
      current = provider;
      provider.on('backchannel.error', (_context, error, client, account, sid) => {
        announce({
          type: 'logout.undelivered',
          client: client.clientId,
          attempt: 1,
          reason: error.message,
          givenUp: false,
        });
        keep({ client: client.clientId, account, sid }).catch(reportFailure);
      });
      provider.on('backchannel.success', (_context, client) => {
        announce({ type: 'logout.delivered', client: client.clientId, attempt: 1 });
      });
    },
    async close() {
      clearInterval(timer);
      await looking;
    },
  };
}

type Parts = Pick<Parameters<typeof backChannelLogout>[0], 'grants' | 'clock' | 'announce'>;

/** @returns where the next look starts */
async function deliverDue(provider: Provider, parts: Parts, after: string | undefined): Promise<string | undefined> {
  const { grants, clock } = parts;
  const { keys, next } = await grants.members(allDeliveries, after === undefined ? {} : { after });
  const found = await grants.getMany(keys);
  for (const [index, stored] of found.entries()) {
    const key = keys[index];
    if (key === undefined || stored === undefined || stored.value.dueAt > clock.now()) continue;
    const attempts = stored.value.attempts + 1;
    const dueAt = clock.now() + (PAUSES[attempts - 1] ?? 0) * 1000;
    // Whoever moves the due time has the attempt; other nodes find it not due.
    const mine = await grants.replace(key, { ...stored.value, attempts, dueAt }, stored.version, {
      ttl: LIFE,
      indexes: [allDeliveries],
    });
    if (mine && (await deliver(provider, parts, { ...stored.value, attempts }))) await grants.delete(key);
  }
  return next;
}

/** @returns whether nothing is left to do: it was delivered, or given up */
async function deliver(provider: Provider, { announce }: Parts, delivery: Delivery): Promise<boolean> {
  const { attempts, client: clientId } = delivery;
  try {
    const client = (await provider.Client.find(clientId)) as LogoutClient | undefined;
    if (client?.backchannelLogoutUri === undefined) return true;
    await client.backchannelLogout(delivery.account, delivery.sid);
    announce({ type: 'logout.delivered', client: clientId, attempt: attempts });
    return true;
  } catch (error) {
    const givenUp = attempts > PAUSES.length;
    const reason = error instanceof Error ? error.message : 'unknown';
    announce({ type: 'logout.undelivered', client: clientId, attempt: attempts, reason, givenUp });
    return givenUp;
  }
}
