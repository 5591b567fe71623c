import { signingUntil, newTimes, type Afterlife, type KeyTimes, type Timetable } from './timetable.ts';

/** One of a row of keys that follow each other in the same office: the keys of one algorithm, or those of the cookies. */
export interface RowKey extends KeyTimes {
  kid: string;
}

/**
 * The key of a row that signs now: the last whose time has come. It goes on past its time until a successor's has
 * come, and a node whose clock is behind uses the first key before its time: a late key is better than a server that
 * cannot sign.
 */
export function signerOf<K extends RowKey>(row: readonly K[], now: number): K | undefined {
  const inOrder = row.toSorted(bySignsFrom);
  return inOrder.findLast((key) => key.signsFrom <= now) ?? inOrder[0];
}

/** Whether the last key of a row ends so soon that the next must be announced. */
export function needsSuccessor(row: readonly RowKey[], now: number, { announce }: Timetable): boolean {
  return !row.some((key) => key.signsUntil > now + announce * 1000);
}

/**
 * Adds a key that takes over when the last one ends, but is announced for its full time first: where it comes late,
 * the last one goes on until then. The first key of a row signs at once, since nothing else can.
 * @param takesOver when, at the earliest; without it when the last one ends
 */
export function withSuccessor<K extends RowKey>(
  row: readonly K[],
  make: (times: KeyTimes) => K,
  now: number,
  timetable: Timetable & Afterlife,
  takesOver?: number,
): K[] {
  const last = row.toSorted(bySignsFrom).at(-1);
  if (last === undefined) return [make(newTimes(now, now, timetable))];
  const signsFrom = Math.max(takesOver ?? last.signsUntil, now + timetable.announce * 1000);
  const next = make(newTimes(now, signsFrom, timetable));
  return [...row.map((key) => (key === last ? signingUntil(key, signsFrom, timetable) : key)), next];
}

/** Ties go by kid, so that every node breaks them alike. */
function bySignsFrom(a: RowKey, b: RowKey): number {
  return a.signsFrom - b.signsFrom || (a.kid < b.kid ? -1 : 1);
}
