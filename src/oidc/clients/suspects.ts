import type { Clock } from '../../lib/clock.ts';

/** Most address blocks to remember, and most different wrong secrets of each. */
const MOST = 10_000;
const MOST_SECRETS = 32;

interface Suspect {
  since: number;
  /** End of the pause that the store has set, in milliseconds since the epoch. */
  pausedUntil: number;
  /** Hashes of wrong secrets that were counted. */
  secrets: Set<string>;
  counting: Promise<unknown>;
}

/**
 * Address blocks that sent wrong client secrets, remembered so that right secrets from elsewhere cost no call to the
 * store.
 */
export interface Suspects {
  /** Tells whether a block may have sent wrong secrets; true for all if more sent them than can be remembered. */
  mayBe(subject: string): boolean;
  /** Settles once every earlier wrong secret has been counted. */
  counted(subject: string): Promise<void>;
  /** Returns the remaining seconds of a pause. */
  pausedFor(subject: string): number;
  /** Records a wrong secret. @returns whether it differs from earlier ones */
  isNew(subject: string, secretHash: string): boolean;
  /** Counts in the store, and remembers the result. @returns the seconds to wait */
  count(subject: string, inStore: () => Promise<number>): Promise<number>;
}

/** @param memory seconds for which the store remembers */
export function openSuspects({ clock, memory }: { clock: Clock; memory: number }): Suspects {
  const suspects = new Map<string, Suspect>();
  /** Until this time a forgotten block may be missing here. */
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
