import { hkdfSync } from 'node:crypto';
import type { JWK } from 'jose';
import type { SigningAlgorithm } from '../config/schema.ts';
import {
  keyState,
  type KeyState,
  signingUntil,
  newTimes,
  type Afterlife,
  type KeyTimes,
  type Timetable,
} from './timetable.ts';

export interface RingKey extends SuccessionKey {
  /** Thumbprint of the public key (RFC 7638). */
  kid: string;
  alg: SigningAlgorithm;
  /** The public key with `kid`, `alg` and `use`, as `/jwks` publishes it. */
  publicJwk: JWK;
  /**
   * The private key with the same members. Absent once destroyed, or in an external signer. Unencrypted only in
   * memory.
   */
  privateJwk?: JWK;
  /** The name of the private key in the external signer; absent once destroyed. */
  external?: string;
}

export interface CookieKey extends SuccessionKey {
  secret: string;
}

/** Everything that is sealed in the ring's record. */
export interface RingContent {
  keys: readonly RingKey[];
  cookieKeys: readonly CookieKey[];
  /** 32 bytes as base64url, from which all other secrets are derived. */
  root: string;
}

/** The state of the ring at one moment. It is immutable; a change makes a new snapshot. */
export interface RingSnapshot {
  readonly keys: readonly RingKey[];
  /** The signing keys, one for each algorithm. */
  readonly signing: readonly SigningKey[];
  /** The content of `/jwks`: the public keys of announced, signing and retired keys. */
  readonly published: readonly JWK[];
  /** The public keys of all remembered keys that do not sign now. One of them may have signed an `id_token_hint`. */
  readonly verifying: readonly JWK[];
  /** The first one signs cookies; all of them verify. */
  readonly cookieKeys: readonly string[];
  /** The time of the next transition, which makes this snapshot outdated, in milliseconds since the epoch. */
  readonly until: number;
  /** Derives 32 bytes for the labelled use, the same on every node and after every restart (HKDF-SHA-256, RFC 5869). */
  derive(label: string): Buffer;
}

/** A ring key whose private key exists, in the ring or in the external signer. */
export type SigningKey = RingKey & ({ privateJwk: JWK } | { external: string });

export function canSign(key: RingKey): key is SigningKey {
  return key.privateJwk !== undefined || key.external !== undefined;
}

/** Derives the state of the ring at one moment. @param algorithms the algorithms with which this node signs */
export function snapshotOf(content: RingContent, now: number, algorithms: readonly SigningAlgorithm[]): RingSnapshot {
  const { keys } = content;
  const signing = signingKeys(keys, now, algorithms);
  const signs = new Set(signing.map(({ kid }) => kid));
  const shown = keys.filter(({ kid, publishedUntil }) => signs.has(kid) || now < publishedUntil);
  const remembered = keys.filter(({ kid, rememberedUntil }) => !signs.has(kid) && now < rememberedUntil);
  return {
    keys,
    signing,
    published: shown.map(({ publicJwk }) => publicJwk),
    verifying: remembered.map(({ publicJwk }) => publicJwk),
    cookieKeys: cookieSecrets(content.cookieKeys, now),
    until: nextMoment([...keys, ...content.cookieKeys], now),
    derive: (label) => derived(content, label),
  };
}

/** Derives 32 bytes for the labelled use from the ring's root. */
export function derived({ root }: Pick<RingContent, 'root'>, label: string): Buffer {
  return Buffer.from(hkdfSync('sha256', Buffer.from(root, 'base64url'), '', `latchkey ring: ${label}`, 32));
}

/** Returns the key of each algorithm that signs now. */
function signingKeys(keys: readonly RingKey[], now: number, algorithms: readonly SigningAlgorithm[]): SigningKey[] {
  const able = keys.filter(canSign);
  return algorithms.flatMap((alg) => signerOf(able.filter((key) => key.alg === alg), now) ?? []); // prettier-ignore
}

/** Returns a key's state in this ring. A key that signs past its time, or before it, counts as signing. */
export function stateIn({ keys, signing }: RingSnapshot, kid: string, now: number): KeyState | undefined {
  const key = keys.find((one) => one.kid === kid);
  if (key === undefined) return undefined;
  if (signing.some((one) => one.kid === kid)) return 'signing';
  const state = keyState(key, now);
  return state === 'signing' ? 'retired' : state;
}

function cookieSecrets(succession: readonly CookieKey[], now: number): string[] {
  const signer = signerOf(succession, now);
  const others = succession.filter((key) => key !== signer && now < key.rememberedUntil);
  return (signer === undefined ? others : [signer, ...others]).map(({ secret }) => secret);
}

function nextMoment(keys: readonly SuccessionKey[], now: number): number {
  const moments = keys.flatMap((key) => [key.signsFrom, key.publishedUntil, key.rememberedUntil]);
  return Math.min(Infinity, ...moments.filter((moment) => moment > now));
}

/** A key of a succession: the keys of one algorithm, or the cookie keys. Each key replaces the one before. */
export interface SuccessionKey extends KeyTimes {
  kid: string;
}

/**
 * Returns the key that signs now: the latest one whose signing time has begun. It signs past its end until its
 * successor begins. A node whose clock is behind uses the first key before its time, because it could not sign
 * otherwise.
 */
function signerOf<K extends SuccessionKey>(succession: readonly K[], now: number): K | undefined {
  const inOrder = succession.toSorted(bySignsFrom);
  return inOrder.findLast((key) => key.signsFrom <= now) ?? inOrder[0];
}

/** Tells whether the last key of a succession ends so soon that its successor must be announced now. */
export function needsSuccessor(succession: readonly SuccessionKey[], now: number, { announce }: Timetable): boolean {
  return !succession.some((key) => key.signsUntil > now + announce * 1000);
}

/**
 * Adds a key that takes over when the last key ends, but not before it was announced for the full time. If it is made
 * late, the last key goes on signing until then. The first key of a succession signs at once, because there is no
 * other.
 * @param takesOver the earliest time at which the new key signs; by default the end of the last key
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

/** Compares by start and then by `kid`, so that every node has the same order. */
function bySignsFrom(a: SuccessionKey, b: SuccessionKey): number {
  return a.signsFrom - b.signsFrom || (a.kid < b.kid ? -1 : 1);
}
