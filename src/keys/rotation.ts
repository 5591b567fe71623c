import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import type { SigningAlgorithm } from '../config/schema.ts';
import { sha256 } from '../lib/hash.ts';
import { secretToken, type Random } from '../lib/random.ts';
import {
  canSign,
  type CookieKey,
  type RingContent,
  type RingKey,
  needsSuccessor,
  withSuccessor,
  type SuccessionKey,
} from './ring.ts';
import { signingUntil, type Afterlife, type KeyTimes, type Timetable } from './timetable.ts';

/** A node's requirements for the ring. */
export interface RotationRules {
  /** Algorithms whose keys get a successor. Other keys end, unless a node with another configuration renews them. */
  algorithms: readonly SigningAlgorithm[];
  timetable: Timetable;
}

export type FreshKey = Omit<RingKey, keyof KeyTimes>;
type FreshCookieKey = Omit<CookieKey, keyof KeyTimes>;

/** New keys that have no times yet: at most one for each algorithm, and one for the cookies. */
export interface Fresh {
  keys: readonly FreshKey[];
  cookieKey?: FreshCookieKey | undefined;
}

/** Returns the keys that must be made now in order to be announced in time. */
export function dueFor(content: RingContent, now: number, { algorithms, timetable }: RotationRules) {
  const isDue = (alg: SigningAlgorithm) => needsSuccessor(ableToSign(content.keys, alg), now, timetable);
  return { algorithms: algorithms.filter(isDue), cookieKey: needsSuccessor(content.cookieKeys, now, timetable) };
}

/**
 * Advances the ring: appends new keys, drops the private key of keys that retired by every node's clock, and removes
 * keys that nobody needs. Nodes may do this any number of times and in any order. A node with another configuration can
 * only lengthen the time for which a retired key is published.
 * @param takesOver the earliest time at which a new key signs; by default the end of the one before it
 * @returns the same object if there was nothing to do
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
    const succession = withSuccessor(ableToSign(keys, made.alg), make, now, timetable, takesOver);
    keys = [...keys.filter((key) => succession.every(({ kid }) => kid !== key.kid)), ...succession];
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
  const succession =
    fresh === undefined ? kept : withSuccessor(kept, (times) => ({ ...fresh, ...times }), now, forCookies);
  // The last key stays past its time until there is a successor.
  return succession.filter((key) => now < key.rememberedUntil || key === succession.at(-1));
}

/**
 * Removes a key that may have leaked. If it was the signing key, the announced key signs at once; if none is announced,
 * the next transition makes one.
 */
export function without(kid: string, content: RingContent, now: number): RingContent {
  const revoked = content.keys.find((key) => key.kid === kid);
  if (revoked === undefined) return content;
  const keys = content.keys.filter((key) => key !== revoked);
  const succession = ableToSign(keys, revoked.alg);
  const next = succession.toSorted((a, b) => a.signsFrom - b.signsFrom).find((key) => key.signsFrom > now);
  if (next === undefined || succession.some((key) => key.signsFrom <= now)) return { ...content, keys };
  return { ...content, keys: keys.map((key) => (key === next ? { ...key, signsFrom: now } : key)) };
}

function ableToSign(keys: readonly RingKey[], alg: SigningAlgorithm): RingKey[] {
  return keys.filter((key) => key.alg === alg && canSign(key));
}

/** Applies longer token lifetimes of a new configuration to the existing keys. */
function prolonged<K extends SuccessionKey>(succession: readonly K[], afterlife: Afterlife): readonly K[] {
  return succession.map((key) => signingUntil(key, key.signsUntil, afterlife));
}

/**
 * Tells whether a key no longer signs by any node's clock. A key of a configured algorithm must also have a successor
 * that signs.
 */
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

/**
 * RFC 7518 §3.3 asks for at least 2048 bits. With 3072 a signature costs twice the CPU and a token is 171 characters
 * longer, to protect a key that is replaced within weeks. For more strength, use ES256, the default.
 */
export const RSA_BITS = 2048;

/** Makes a key pair off the main thread. */
export async function newKey(alg: SigningAlgorithm): Promise<FreshKey> {
  const pair = await generateKeyPair(alg, { modulusLength: RSA_BITS, extractable: true });
  const key = await keyOf(alg, await exportJWK(pair.publicKey));
  return { ...key, privateJwk: { ...(await exportJWK(pair.privateKey)), ...marks(key) } };
}

/** Builds a key from its public key, named by its thumbprint (RFC 7638). */
export async function keyOf(alg: SigningAlgorithm, publicHalf: JWK): Promise<FreshKey> {
  const kid = await calculateJwkThumbprint(publicHalf);
  return { kid, alg, publicJwk: { ...publicHalf, ...marks({ kid, alg }) } };
}

/**
 * Returns the members `kid`, `alg` and `use` of a JWK. The engine prefers keys that have all three, so it would never
 * choose a key that lacks one.
 */
function marks({ kid, alg }: Pick<FreshKey, 'kid' | 'alg'>): JWK {
  return { kid, alg, use: 'sig' };
}

export function newCookieKey(random: Random): FreshCookieKey {
  const secret = secretToken(random);
  return { kid: sha256(secret), secret };
}
