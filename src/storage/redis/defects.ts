import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Clock } from '../../lib/clock.ts';
import { readPosition, SEPARATOR } from '../cursor.ts';
import type { Defect } from '../store.ts';
import type { Connection } from './connect.ts';
import { bitmapKey, counterKey, recordKey } from './dump.ts';
import { entryIn } from './memberships.ts';
import { BITMAP_HEADER } from './scripts.ts';

/** Number of names or entries that one step of a scan examines. */
const STEP = '500';
/** Number of suspected entries that are held until they are examined again. */
const SUSPECTS = 10_000;

/** A member of an index or an order whose record did not name it. */
interface Suspect {
  name: string;
  member: string;
  /** The entry of a write, as in memberships.ts. */
  entry: string;
}

interface Search {
  connection: Pick<Connection, 'reader' | 'writer' | 'watch'>;
  clock: Clock;
  isRepaired: boolean;
  /** Milliseconds until a suspected entry is examined again. A write enters its indexes before it writes the record. */
  patience: number;
}

/** Finds entries of crashed writes, and items that Redis itself would never drop although they have an expiry. */
export async function* defectsOf(primaries: readonly Redis[], search: Search): AsyncGenerator<readonly Defect[]> {
  const suspects: Suspect[] = [];
  for (const primary of primaries) {
    let cursor = '0';
    do {
      const [next, names] = await search.connection.watch.confirmed(primary.scan(cursor, 'COUNT', STEP));
      cursor = next;
      const endless = await Promise.all(names.map((name) => endlessIn(name, search)));
      const found = endless.filter((one) => one !== undefined);
      if (found.length > 0) yield found;
      for (const name of names.filter((one) => /^(index|order):/.test(one)))
        suspects.push(...(await suspectsIn(name, primary, search)));
      if (suspects.length >= SUSPECTS) yield await settled(suspects.splice(0), search);
    } while (cursor !== '0');
  }
  if (suspects.length > 0) yield await settled(suspects, search);
}

/** Finds a record, counter or bitmap with an expiry of which Redis does not know. With a repair, Redis learns it. */
async function endlessIn(name: string, { connection, clock, isRepaired }: Search): Promise<Defect | undefined> {
  if (!/^(record|counter|bitmap):/.test(name)) return undefined;
  const { writer, watch } = connection;
  const isBitmap = name.startsWith(bitmapKey(''));
  const lacks = await watch.confirmed(
    writer.expiryCheck(name, clock.now(), isBitmap ? BITMAP_HEADER : 0, isRepaired ? 1 : 0),
  );
  if (lacks === 'fine') return undefined;
  const key = name.slice(name.indexOf(':') + 1);
  const isCounter = name.startsWith(counterKey(''));
  return {
    what: 'endless',
    name: isCounter ? 'counter' : isBitmap ? 'bitmap' : 'record',
    key,
    isMended: lacks === 'mended',
  };
}

async function suspectsIn(name: string, primary: Redis, search: Search): Promise<Suspect[]> {
  const { connection, clock } = search;
  const now = clock.now();
  const suspects: Suspect[] = [];
  let cursor = '0';
  do {
    const [next, found] = await connection.watch.confirmed(primary.zscan(name, cursor, 'COUNT', STEP));
    cursor = next;
    const living: Suspect[] = [];
    for (let at = 0; at < found.length; at += 2) {
      const [member = '', score] = found.slice(at, at + 2);
      const isTerm = name.startsWith('order:');
      const { expiresAt, key } = isTerm ? readPosition(member) : { expiresAt: Number(score), key: member };
      // An entry that ends with the separator has no record; an expired one is removed by the next reader.
      if (key.endsWith(SEPARATOR) || (expiresAt || Infinity) <= now) continue;
      living.push({ name, member, entry: key });
    }
    const areNamed = await Promise.all(living.map((one) => isNamed(one, connection)));
    suspects.push(...living.filter((_one, at) => areNamed[at] === false));
  } while (cursor !== '0');
  return suspects;
}

/** Tells whether the record of an entry names that entry. */
async function isNamed({ entry }: Suspect, { reader, watch }: Search['connection']): Promise<boolean> {
  const key = entry.slice(0, entry.lastIndexOf(SEPARATOR));
  return entryIn(await watch.confirmed(reader.hget(recordKey(key), 'memberships'))) === entry;
}

/** Examines suspects again, once the writes that were under way have ended, and removes those that still dangle. */
async function settled(suspects: readonly Suspect[], search: Search): Promise<Defect[]> {
  const { connection, clock, isRepaired, patience } = search;
  await sleep(patience);
  const defects: Defect[] = [];
  for (const suspect of suspects) {
    const { name, member, entry } = suspect;
    const { reader, writer, watch } = connection;
    const score = await watch.confirmed(reader.zscore(name, member));
    if (score === null || (await isNamed(suspect, connection))) continue;
    if (isRepaired) {
      if (name.startsWith('order:')) await watch.confirmed(writer.zrem(name, member));
      else await watch.confirmed(writer.indexLeave(name, clock.now(), member));
    }
    // A node that was suspended for longer has written its record after all.
    const isLate = isRepaired && (await isNamed(suspect, connection));
    if (isLate) await watch.confirmed(writer.zadd(name, score, member));
    else
      defects.push({
        what: 'dangling',
        name: name.slice(name.indexOf(':') + 1),
        key: entry.slice(0, entry.lastIndexOf(SEPARATOR)),
        isMended: isRepaired,
      });
  }
  return defects;
}
