import { signingUntil, newTimes, type Afterlife, type KeyTimes, type Timetable } from './timetable.ts';

/** A key of a succession: the keys of one algorithm, or the cookie keys, of which each replaces the one before. */
export interface SuccessionKey extends KeyTimes {
  kid: string;
}

/**
 * Returns the key that signs now: the last one that has begun. It signs past its time until its successor begins, and
 * a node whose clock is behind uses the first key before its time. A late key is better than a server that cannot sign.
 */
export function signerOf<K extends SuccessionKey>(succession: readonly K[], now: number): K | undefined {
  const inOrder = succession.toSorted(bySignsFrom);
  return inOrder.findLast((key) => key.signsFrom <= now) ?? inOrder[0];
}

/** Tells whether the last key of a succession ends so soon that its successor must be announced now. */
export function needsSuccessor(succession: readonly SuccessionKey[], now: number, { announce }: Timetable): boolean {
  return !succession.some((key) => key.signsUntil > now + announce * 1000);
}

/**
 * Adds a key that takes over when the last one ends, but only after it was announced for the full time. If it is made
 * late, the last one signs on until then. The first key of a succession signs at once, since nothing else can.
 * @param takesOver the earliest time at which it signs; by default the end of the last one
 */
export function withSuccessor<K extends SuccessionKey>(
  succession: readonly K[],
  make: (times: KeyTimes) => K,
  now: number,
  timetable: Timetable & Afterlife,
  takesOver?: number,
): K[] {
  const last = succession.toSorted(bySignsFrom).at(-1);
  if (last === undefined) return [make(newTimes(now, now, timetable))];
  const signsFrom = Math.max(takesOver ?? last.signsUntil, now + timetable.announce * 1000);
  const next = make(newTimes(now, signsFrom, timetable));
  return [...succession.map((key) => (key === last ? signingUntil(key, signsFrom, timetable) : key)), next];
}

/** Ties are broken by `kid`, so that every node orders alike. */
function bySignsFrom(a: SuccessionKey, b: SuccessionKey): number {
  return a.signsFrom - b.signsFrom || (a.kid < b.kid ? -1 : 1);
}
