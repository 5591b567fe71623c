/** How long keys serve, in seconds. */
export interface Timetable {
  /** How long a key signs. */
  sign: number;
  /** How long before it signs a key is published: at least what a resource server may cache `/jwks` for, plus skew. */
  announce: number;
  /** How long after it signed a key is still published: at least the life of the longest token, plus skew. */
  publish: number;
}

/** When a key does what, in milliseconds since the epoch. It is in the record, so every node comes to the same answer. */
export interface KeyTimes {
  announcedAt: number;
  signsFrom: number;
  signsUntil: number;
  publishedUntil: number;
}

export type KeyState = 'announced' | 'signing' | 'retired' | 'expired';

/** What a key's own timetable says. Which key signs is the ring's answer: one that has no successor goes on. */
export function keyState(times: KeyTimes, now: number): KeyState {
  if (now < times.signsFrom) return 'announced';
  if (now < times.signsUntil) return 'signing';
  return now < times.publishedUntil ? 'retired' : 'expired';
}

/** The times of an algorithm's first key. It signs unannounced, since nothing else can. */
export function firstTimes(now: number, timetable: Timetable): KeyTimes {
  const signsUntil = now + timetable.sign * 1000;
  return { announcedAt: now, signsFrom: now, signsUntil, publishedUntil: signsUntil + timetable.publish * 1000 };
}
