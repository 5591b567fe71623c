import type { Redis } from 'ioredis';
import type { Clock } from '../../lib/clock.ts';
import { inBatches } from '../batches.ts';
import { SEPARATOR } from '../cursor.ts';
import type { Item } from '../store.ts';
import type { Connection } from './connect.ts';
import { namesIn, type Memberships } from './memberships.ts';
import type { PrimaryWatch } from './primary-watch.ts';
import { BITMAP_HEADER } from './scripts.ts';

// Each name begins with its kind, because Redis has one namespace and the port has several.
export const recordKey = (key: string): string => `record:${key}`;
export const counterKey = (counter: string): string => `counter:${counter}`;
export const bitmapKey = (bitmap: string): string => `bitmap:${bitmap}`;

/** Number of names that one step of SCAN examines, small enough not to block other clients. */
const STEP = '500';

/** Reads the keys of each primary by SCAN, which does not block other clients. They may write meanwhile. */
export async function* dumpRedis(
  primaries: readonly Redis[],
  watch: Pick<PrimaryWatch, 'confirmed'>,
  clock: Clock,
): AsyncGenerator<readonly Item[]> {
  for (const primary of primaries) yield* inBatches(itemsOf(primary, watch, clock));
}

async function* itemsOf(primary: Redis, { confirmed }: Pick<PrimaryWatch, 'confirmed'>, clock: Clock) {
  let cursor = '0';
  do {
    const [next, keys] = await confirmed(primary.scan(cursor, 'COUNT', STEP));
    cursor = next;
    const small = keys.filter((key) => !key.startsWith('index:'));
    const items = await Promise.all(small.map((key) => named(key, readItem(key, primary, confirmed))));
    const now = clock.now();
    yield* items.filter((item): item is Item => item !== undefined && (item.expiresAt ?? Infinity) > now);
    for (const key of keys) if (key.startsWith('index:')) yield* membersOf(key, primary, confirmed, now);
  } while (cursor !== '0');
}

/** Adds the key to the error of Redis for a value of another type. Only another program writes such a value. */
async function named<T>(key: string, read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('WRONGTYPE'))) throw error;
    throw new Error(
      `the Redis has a key that Latchkey did not write, ${JSON.stringify(key)}: rename or delete it (its TYPE is another)`,
      { cause: error },
    );
  }
}

/**
 * Reads the item under a key.
 * @returns undefined for a key of another program, or one that was just deleted
 */
async function readItem(name: string, primary: Redis, confirmed: PrimaryWatch['confirmed']): Promise<Item | undefined> {
  const colon = name.indexOf(':');
  const key = name.slice(colon + 1);
  switch (name.slice(0, colon)) {
    case 'record': {
      const fields = primary.hmget(name, 'value', 'version', 'consumedAt', 'expiresAt', 'memberships');
      const [json, version, consumedAt, expiresAt, memberships] = await confirmed(fields);
      if (typeof json !== 'string') return undefined;
      return {
        kind: 'record',
        key,
        json,
        version: Number(version),
        ...(typeof consumedAt === 'string' && { consumedAt: Number(consumedAt) }),
        ...(typeof expiresAt === 'string' && expiresAt !== '' && { expiresAt: Number(expiresAt) }),
        ...namesIn(memberships),
      };
    }
    case 'counter': {
      const [sum, expiresAt] = await confirmed(primary.hmget(name, 'sum', 'expiresAt'));
      return typeof sum === 'string'
        ? { kind: 'counter', key, sum: Number(sum), expiresAt: Number(expiresAt) }
        : undefined;
    }
    case 'bitmap': {
      const bytes = await confirmed(primary.getBuffer(name));
      if (bytes === null) return undefined;
      const expiresAt = Number(bytes.toString('latin1', 0, BITMAP_HEADER));
      return { kind: 'bitmap', key, bits: bytes.subarray(BITMAP_HEADER), expiresAt };
    }
    default:
      return undefined;
  }
}

/** Reads the members of an index that have no record. Their entries end with the separator, without a write's name. */
async function* membersOf(
  name: string,
  primary: Redis,
  confirmed: PrimaryWatch['confirmed'],
  now: number,
): AsyncGenerator<Item> {
  let cursor = '0';
  do {
    const [next, found] = await named(name, confirmed(primary.zscan(name, cursor, 'COUNT', STEP)));
    cursor = next;
    for (let at = 0; at < found.length; at += 2) {
      const [entry = '', score] = found.slice(at, at + 2);
      const expiresAt = Number(score);
      if (!entry.endsWith(SEPARATOR) || expiresAt <= now) continue;
      yield { kind: 'member', index: name.slice('index:'.length), key: entry.slice(0, -SEPARATOR.length), expiresAt };
    }
  } while (cursor !== '0');
}

/** Writes one item. As in every write, a record's index entries are written before the record. */
export async function loadItem(
  item: Item,
  { writer, watch: { confirmed } }: Pick<Connection, 'writer' | 'watch'>,
  memberships: Memberships,
  now: number,
): Promise<void> {
  const life = Math.ceil((item.expiresAt ?? Infinity) - now);
  if (life <= 0) return;
  switch (item.kind) {
    case 'record': {
      const { key, json, version, consumedAt = '', expiresAt = '' } = item;
      const ttl = expiresAt === '' ? 0 : life;
      const entered = await memberships.enter(key, item, expiresAt, ttl);
      const load = writer.recordLoad(recordKey(key), now, json, expiresAt, ttl, entered, version, consumedAt);
      await memberships.leave(await confirmed(load));
      return;
    }
    case 'member':
      return memberships.enlist(item.index, item.key, item.expiresAt);
    case 'counter':
      await confirmed(writer.counterLoad(counterKey(item.key), item.sum, item.expiresAt, life));
      return;
    case 'bitmap': {
      const header = Buffer.from(String(item.expiresAt).padStart(BITMAP_HEADER, '0'), 'latin1');
      await confirmed(writer.set(bitmapKey(item.key), Buffer.concat([header, item.bits]), 'PX', life));
    }
  }
}
