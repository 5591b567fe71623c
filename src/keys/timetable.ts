import { longestToken } from '../config/longest-token.ts';
import type { Config } from '../config/schema.ts';

/** How long keys serve, in seconds. */
export interface Timetable {
  /** How long a key signs. */
  sign: number;
  /** How long before it signs a key is published: longer than `cache` plus `skew`, so that no API meets a key unprepared. */
  announce: number;
  /** How long after it signed a key is still published: at least the life of the longest token, plus `skew`. */
  publish: number;
  /** How long after it signed a key still verifies what comes back to this server: ID tokens given as a hint. */
  remember: number;
  /** How long after it signed a cookie key still verifies: at least the life of the longest cookie, plus `skew`. */
  cookies: number;
  /** How far apart the clocks of any two nodes, or of a node and an API, may be. */
  skew: number;
  /** How long anybody may keep `/jwks`. */
  cache: number;
}

/** When a key does what, in milliseconds since the epoch. It is in the record, so every node comes to the same answer. */
export interface KeyTimes {
  announcedAt: number;
  signsFrom: number;
  signsUntil: number;
  publishedUntil: number;
  /** From here on nobody needs its public half either. */
  rememberedUntil: number;
}

/** How long after it signed a key is published and remembered: what the timetables of signing keys and cookies differ in. */
export type Afterlife = Pick<Timetable, 'publish' | 'remember'>;

export type KeyState = 'announced' | 'signing' | 'retired' | 'expired';

/** What a key's own timetable says. Which key signs is the ring's answer: one that has no successor goes on. */
export function keyState(times: KeyTimes, now: number): KeyState {
  if (now < times.signsFrom) return 'announced';
  if (now < times.signsUntil) return 'signing';
  return now < times.publishedUntil ? 'retired' : 'expired';
}

/** The times of a key that is made now and signs from a moment on; an algorithm's first key signs at once. */
export function newTimes(now: number, signsFrom: number, timetable: Pick<Timetable, 'sign'> & Afterlife): KeyTimes {
  const times = { announcedAt: now, signsFrom, signsUntil: signsFrom, publishedUntil: signsFrom, rememberedUntil: 0 };
  return signingUntil(times, signsFrom + timetable.sign * 1000, timetable);
}

/**
 * The same key with another end. What it signs outlives it as long as it was promised, or longer where the
 * configuration now has longer lives, but never shorter: what it has signed is out there already.
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
 * For how long after a look at the ring a node may sign and publish by it, in seconds. What it publishes then is kept for
 * `cache`; only later does a key that was announced since sign on any clock.
 */
export function trustedFor({ announce, cache, skew }: Timetable): number {
  return announce - cache - skew;
}

/**
 * How often a node looks at the ring, in seconds: twice within the time for which it may trust a look, so that one that
 * misses the hint and one look still publishes a key in time.
 */
export function pollingPeriod(timetable: Timetable): number {
  return Math.min(60, Math.max(1, trustedFor(timetable) / 2));
}

/** The timetable that a configuration asks for. */
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
