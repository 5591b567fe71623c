import type { Clock } from '../../lib/clock.ts';

/** Places that are kept in mind at most, and different wrong secrets of each. */
const MOST = 10_000;
const MOST_SECRETS = 32;

interface Suspect {
  since: number;
  /** In milliseconds since the epoch: until then the store has said to wait. */
  pausedUntil: number;
  /** Hashes of wrong secrets that were counted. */
  secrets: Set<string>;
  counting: Promise<unknown>;
}

/** Address blocks from which this node knows wrong client secrets came, so that right ones from elsewhere cost nothing. */
export interface Suspects {
  /** Tells whether wrong ones may have come from there; of nobody where more came than can be kept. */
  mayBe(subject: string): boolean;
  /** Settles once every wrong secret that came before has been counted. */
  counted(subject: string): Promise<void>;
  /** Seconds that are left of a pause. */
  pausedFor(subject: string): number;
  /** Notes a wrong secret. @returns whether it is another than before */
  isNew(subject: string, secretHash: string): boolean;
  /** Counts in the store, and keeps in mind what it says. @returns the seconds to wait */
  count(subject: string, inStore: () => Promise<number>): Promise<number>;
}

/** @param memory in seconds, for how long the store remembers */
export function openSuspects({ clock, memory }: { clock: Clock; memory: number }): Suspects {
  const suspects = new Map<string, Suspect>();
  /** Until then somebody may be missing here. */
  let incompleteUntil = 0;

  function find(subject: string): Suspect | undefined {
    const found = suspects.get(subject);
    if (found === undefined || clock.now() - found.since < memory * 1000) return found;
    suspects.delete(subject);
    return undefined;
  }

  function add(subject: string): Suspect {
    const suspect = { since: clock.now(), pausedUntil: 0, secrets: new Set<string>(), counting: Promise.resolve() };
    const [oldest] = suspects.keys();
    if (suspects.size >= MOST && oldest !== undefined) {
      incompleteUntil = (suspects.get(oldest)?.since ?? 0) + memory * 1000;
      suspects.delete(oldest);
    }
    suspects.set(subject, suspect);
    return suspect;
  }

  return {
    mayBe: (subject) => find(subject) !== undefined || clock.now() < incompleteUntil,
    async counted(subject) {
      await find(subject)?.counting;
    },
    pausedFor: (subject) => Math.max(0, Math.ceil(((find(subject)?.pausedUntil ?? 0) - clock.now()) / 1000)),
    isNew(subject, secretHash) {
      const { secrets } = find(subject) ?? add(subject);
      if (secrets.has(secretHash)) return false;
      const [oldest] = secrets;
      if (secrets.size >= MOST_SECRETS && oldest !== undefined) secrets.delete(oldest);
      secrets.add(secretHash);
      return true;
    },
    async count(subject, inStore) {
      const suspect = find(subject) ?? add(subject);
      const answer = inStore();
      suspect.counting = Promise.allSettled([suspect.counting, answer]);
      const seconds = await answer;
      if (seconds > 0) suspect.pausedUntil = clock.now() + seconds * 1000;
      return seconds;
    },
  };
}
