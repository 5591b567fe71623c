import { hkdfSync } from 'node:crypto';
import type { JWK } from 'jose';
import { type KeyTimes, keyState } from './timetable.ts';

export type SigningAlgorithm = 'ES256' | 'RS256';

export interface RingKey extends KeyTimes {
  /** The public half's thumbprint (RFC 7638). */
  kid: string;
  alg: SigningAlgorithm;
  /** With `kid`, `alg` and `use`, as `/jwks` shows it. */
  publicJwk: JWK;
  /** With `kid`, `alg` and `use`; absent once destroyed. In clear in memory only. */
  privateJwk?: JWK;
}

/** Everything that is sealed in the ring's record. */
export interface RingContent {
  keys: readonly RingKey[];
  /** Newest first: the first one signs cookies, all of them verify. */
  cookieKeys: readonly string[];
  /** 32 bytes as base64url, of which every other secret is derived. */
  root: string;
}

/** The ring as one node last read it. Immutable; a change is a new snapshot. */
export interface RingSnapshot {
  readonly keys: readonly RingKey[];
  readonly cookieKeys: readonly string[];
  /** 32 bytes for the use that the label names, the same on every node and after every restart (HKDF-SHA-256, RFC 5869). */
  derive(label: string): Buffer;
}

export function snapshotOf(content: RingContent): RingSnapshot {
  const root = Buffer.from(content.root, 'base64url');
  return {
    keys: content.keys,
    cookieKeys: content.cookieKeys,
    derive: (label) => Buffer.from(hkdfSync('sha256', root, '', `latchkey ring: ${label}`, 32)),
  };
}

/**
 * The key that signs now, one per algorithm: the last whose time to sign has come. It goes on past its time until a
 * successor's has come, and a node whose clock is behind uses the first key before its time: a late key is better than
 * a server that cannot sign.
 */
export function signingKeys(ring: Pick<RingSnapshot, 'keys'>, now: number): RingKey[] {
  const signers = new Map<SigningAlgorithm, RingKey>();
  for (const key of ring.keys.toSorted(bySignsFrom)) {
    if (key.privateJwk === undefined) continue;
    if (key.signsFrom <= now || !signers.has(key.alg)) signers.set(key.alg, key);
  }
  return [...signers.values()];
}

/** What `/jwks` shows now: announced, signing and retired keys, public halves only. */
export function publishedKeys(ring: Pick<RingSnapshot, 'keys'>, now: number): JWK[] {
  const signers = new Set(signingKeys(ring, now));
  return ring.keys.filter((key) => signers.has(key) || keyState(key, now) !== 'expired').map((key) => key.publicJwk);
}

/** Ties go by kid, so that every node breaks them alike. */
function bySignsFrom(a: RingKey, b: RingKey): number {
  return a.signsFrom - b.signsFrom || (a.kid < b.kid ? -1 : 1);
}
