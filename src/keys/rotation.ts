import type { SigningAlgorithm } from '../config/schema.ts';
import { canSign, type CookieKey, type RingContent, type RingKey } from './ring.ts';
import { needsSuccessor, withSuccessor, type RowKey } from './row.ts';
import { signingUntil, type Afterlife, type KeyTimes, type Timetable } from './timetable.ts';

/** What a node wants of the ring. */
export interface RotationRules {
  /** Those that get a successor. Others end at their time, unless a node that is configured otherwise goes on with them. */
  algorithms: readonly SigningAlgorithm[];
  timetable: Timetable;
}

export type FreshKey = Omit<RingKey, keyof KeyTimes>;
export type FreshCookieKey = Omit<CookieKey, keyof KeyTimes>;

/** Keys that have no time yet: at most one for each algorithm, and one for the cookies. */
export interface Fresh {
  keys: readonly FreshKey[];
  cookieKey?: FreshCookieKey | undefined;
}

/** What must be made, so that it is announced in time. */
export function dueFor(content: RingContent, now: number, { algorithms, timetable }: RotationRules) {
  const isDue = (alg: SigningAlgorithm) => needsSuccessor(ableToSign(content.keys, alg), now, timetable);
  return { algorithms: algorithms.filter(isDue), cookieKey: needsSuccessor(content.cookieKeys, now, timetable) };
}

/**
 * One step of the ring's life: what was made follows what is there, what has retired on every clock loses its private
 * half, and what nobody needs is dropped. Nodes may take the step in any number and order; those that are configured
 * otherwise only ever make a key's afterlife longer.
 * @param takesOver when a new key signs, at the earliest; without it when the one before it ends
 * @returns the very same content when there was nothing to do
 */
export function advance(
  content: RingContent,
  now: number,
  rules: RotationRules,
  fresh: Fresh,
  takesOver?: number,
): RingContent {
  const keys = nextKeys(content.keys, now, rules, fresh.keys, takesOver);
  const cookieKeys = nextCookieKeys(content.cookieKeys, now, rules.timetable, fresh.cookieKey);
  const isSame = sameItems(keys, content.keys) && sameItems(cookieKeys, content.cookieKeys);
  return isSame ? content : { ...content, keys, cookieKeys };
}

function nextKeys(
  present: RingContent['keys'],
  now: number,
  rules: RotationRules,
  fresh: Fresh['keys'],
  takesOver: number | undefined,
): readonly RingKey[] {
  const { timetable } = rules;
  let keys = prolonged(present, timetable);
  for (const made of fresh) {
    const make = (times: KeyTimes): RingKey => ({ ...made, ...times });
    const row = withSuccessor(ableToSign(keys, made.alg), make, now, timetable, takesOver);
    keys = [...keys.filter((key) => row.every(({ kid }) => kid !== key.kid)), ...row];
  }
  return keys
    .map((key) => (hasRetired(key, keys, now, rules) ? withoutPrivateHalf(key) : key))
    .filter((key) => canSign(key) || now < key.rememberedUntil);
}

function nextCookieKeys(
  present: RingContent['cookieKeys'],
  now: number,
  timetable: Timetable,
  fresh: FreshCookieKey | undefined,
): readonly CookieKey[] {
  const forCookies = { ...timetable, publish: timetable.cookies, remember: timetable.cookies };
  const kept = prolonged(present, forCookies);
  const row = fresh === undefined ? kept : withSuccessor(kept, (times) => ({ ...fresh, ...times }), now, forCookies);
  // The last one goes on past its time until there is another.
  return row.filter((key) => now < key.rememberedUntil || key === row.at(-1));
}

/**
 * The ring without a key that may have leaked. Where it was the one that signs, the key that was announced signs at
 * once; where there is none, the next step makes one.
 */
export function without(kid: string, content: RingContent, now: number): RingContent {
  const revoked = content.keys.find((key) => key.kid === kid);
  if (revoked === undefined) return content;
  const keys = content.keys.filter((key) => key !== revoked);
  const row = ableToSign(keys, revoked.alg);
  const next = row.toSorted((a, b) => a.signsFrom - b.signsFrom).find((key) => key.signsFrom > now);
  if (next === undefined || row.some((key) => key.signsFrom <= now)) return { ...content, keys };
  return { ...content, keys: keys.map((key) => (key === next ? { ...key, signsFrom: now } : key)) };
}

function ableToSign(keys: readonly RingKey[], alg: SigningAlgorithm): RingKey[] {
  return keys.filter((key) => key.alg === alg && canSign(key));
}

/** Longer lives of tokens in a new configuration are those of the present keys' tokens too. */
function prolonged<K extends RowKey>(row: readonly K[], afterlife: Afterlife): readonly K[] {
  return row.map((key) => signingUntil(key, key.signsUntil, afterlife));
}

/** Whether a key no longer signs on any clock. While its algorithm is wanted, it must have a successor that does. */
function hasRetired(
  key: RingKey,
  keys: readonly RingKey[],
  now: number,
  { algorithms, timetable }: RotationRules,
): boolean {
  const onEveryClock = now - timetable.skew * 1000;
  if (!canSign(key) || key.signsUntil > onEveryClock) return false;
  const isFollowed = ableToSign(keys, key.alg).some(
    ({ signsFrom }) => signsFrom > key.signsFrom && signsFrom <= onEveryClock,
  );
  return isFollowed || !algorithms.includes(key.alg);
}

function withoutPrivateHalf({ privateJwk: _destroyed, external: _released, ...key }: RingKey): RingKey {
  return key;
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
