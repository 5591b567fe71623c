import { longestToken } from '../config/sections/longest-token.ts';
import type { Config } from '../config/schema.ts';

/** Durations in the life of a key, in seconds. */
export interface Timetable {
  /** Time for which a key signs. */
  sign: number;
  /** Time from publication to first signature: longer than `cache` plus `skew`, so that no API meets an unknown key. */
  announce: number;
  /** Time from last signature to removal from `/jwks`: at least the longest token lifetime plus `skew`. */
  publish: number;
  /** Time from last signature for which this server still verifies ID tokens that come back as a hint. */
  remember: number;
  /**
   * Time from last signature for which a cookie key still verifies: at least the longest cookie lifetime plus `skew`.
   */
  cookies: number;
  /** Largest difference between the clocks of two nodes, or of a node and an API. */
  skew: number;
  /** Time for which anybody may cache `/jwks`. */
  cache: number;
}

/** A key's transitions, in milliseconds since the epoch. They are stored in the record, so all nodes agree. */
export interface KeyTimes {
  announcedAt: number;
  signsFrom: number;
  signsUntil: number;
  publishedUntil: number;
  /** The time until which this server keeps the key, or its public key, to verify with it. */
  rememberedUntil: number;
}

/** The durations after the last signature. They differ between signing keys and cookie keys. */
export type Afterlife = Pick<Timetable, 'publish' | 'remember'>;

export type KeyState = 'announced' | 'signing' | 'retired' | 'expired';

/**
 * Returns a key's state by its own timetable. The ring decides which key signs, because a key without a successor goes
 * on signing.
 */
export function keyState(times: KeyTimes, now: number): KeyState {
  if (now < times.signsFrom) return 'announced';
  if (now < times.signsUntil) return 'signing';
  return now < times.publishedUntil ? 'retired' : 'expired';
}

/** Returns the timetable of a key that is made now and signs from `signsFrom` on. */
export function newTimes(now: number, signsFrom: number, timetable: Pick<Timetable, 'sign'> & Afterlife): KeyTimes {
  const times = { announcedAt: now, signsFrom, signsUntil: signsFrom, publishedUntil: signsFrom, rememberedUntil: 0 };
  return signingUntil(times, signsFrom + timetable.sign * 1000, timetable);
}

/**
 * Returns the key with another end of its signing time. The time for which it stays published afterwards grows with the
 * configured lifetimes and never shrinks, because tokens that it signed are in use.
 */
export function signingUntil<K extends KeyTimes>(key: K, signsUntil: number, { publish, remember }: Afterlife): K {
  const published = Math.max(publish * 1000, key.publishedUntil - key.signsUntil);
  const remembered = Math.max(published, remember * 1000, key.rememberedUntil - key.signsUntil);
  const times = {
    signsUntil,
    publishedUntil: signsUntil + published,
    rememberedUntil: signsUntil + remembered,
  };
  const isSame = Object.entries(times).every(([name, time]) => key[name as keyof typeof times] === time);
  return isSame ? key : { ...key, ...times };
}

/**
 * Returns the seconds for which a node may sign and publish by its latest read of the ring. Another node may announce a
 * key right after that read. By no clock may that key sign before the APIs have fetched it, and they cache the
 * published keys for `cache` seconds.
 */
export function trustedFor({ announce, cache, skew }: Timetable): number {
  return announce - cache - skew;
}

/**
 * Returns the period in seconds in which a node polls the ring: half the time for which it trusts a read, between a
 * second and a minute. A node that misses both the notice and one poll still publishes a key in time.
 */
export function pollingPeriod(timetable: Timetable): number {
  return Math.min(60, Math.max(1, trustedFor(timetable) / 2));
}

/** Returns the configured timetable. */
export function timetableOf({ keys, tokens, sessions, resources }: Config): Timetable {
  const { sign, announce, clock_skew: skew, jwks_max_age: cache } = keys;
  const publish = keys.publish ?? longestToken(tokens, resources).life + skew;
  const longestSession = Math.max(sessions.default, sessions.remembered);
  return {
    sign,
    announce,
    publish,
    remember: Math.max(publish, longestSession + skew),
    cookies: Math.max(longestSession, tokens.interaction) + skew,
    skew,
    cache,
  };
}
