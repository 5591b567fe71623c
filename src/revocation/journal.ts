import type { RevocationTarget, Revoked } from '../events/revocations.ts';
import type { Clock } from '../lib/clock.ts';
import { everyRecord } from '../storage/every-member.ts';
import { keyspace, type Index, type Key, type Store, type Stored, type WriteOptions } from '../storage/store.ts';
import { update } from '../storage/update.ts';

/** An unfinished revocation, as stored. */
export interface Revocation extends Revoked {
  /** Number of its steps that are done. */
  done: number;
  /** Set until the change behind it is made. The revocation then counts from the end of its first step. */
  isPending?: true;
  /** Set once all apps are notified. */
  isTold?: true;
  /** Time from which any node may take the next step, in milliseconds since the epoch. */
  dueAt: number;
}

const revocationKey: (id: string) => Key<Revocation> = keyspace<Revocation>('revocation');
const openRevocations: Index<Revocation> = 'revocations';

export interface Step {
  does: 'apply' | 'notify';
  /** Milliseconds after the previous step. */
  pause: number;
}

/**
 * Steps of every revocation. It is applied repeatedly, because requests that were under way may write records that the
 * first pass has already passed. The last pass starts later than any request can end.
 */
const STEPS: readonly Step[] = [
  { does: 'apply', pause: 0 },
  { does: 'notify', pause: 0 },
  { does: 'apply', pause: 1000 },
  { does: 'apply', pause: 4000 },
  { does: 'apply', pause: 30_000 },
  { does: 'notify', pause: 0 },
];

/** Returns the steps for a target. A single token or a removed key needs no repetition. */
function stepsOf({ what }: RevocationTarget): readonly Step[] {
  return what === 'token' || what === 'key' ? STEPS.slice(0, 2) : STEPS;
}

/** Lease of a step in milliseconds. After a crash another node takes the step again. */
const CLAIM = 3000;

/** The unfinished revocations, and the leases on their next steps. */
export class RevocationJournal {
  readonly #grants: Store;
  readonly #clock: Clock;
  readonly #options: WriteOptions;
  readonly #canNotify: boolean;

  /** @param rules the life of an abandoned entry in seconds, and whether this process can notify apps */
  constructor(grants: Store, clock: Clock, { life, canNotify }: { life: number; canNotify: boolean }) {
    this.#canNotify = canNotify;
    this.#grants = grants;
    this.#clock = clock;
    this.#options = { ttl: life, indexes: [openRevocations] };
  }

  /** Stores a revocation and leases its first step to the caller. @param isPending the change is made in that step */
  async begin(revoked: Revoked, isPending: boolean): Promise<Revocation> {
    const pending = isPending ? ({ isPending } as const) : {};
    const revocation = { ...revoked, ...pending, done: 0, dueAt: this.#clock.now() + CLAIM };
    await this.#grants.create(revocationKey(revoked.id), revocation, this.#options);
    return revocation;
  }

  /** Yields the revocations whose next step is due, each leased to the caller. */
  async *due(): AsyncGenerator<Revocation> {
    for await (const { key, value, version } of everyRecord(this.#grants, openRevocations)) {
      if (value.dueAt > this.#clock.now()) continue;
      const claimed = { ...value, dueAt: this.#clock.now() + CLAIM };
      if (await this.#grants.replace(key, claimed, version, this.#options)) yield claimed;
    }
  }

  /** @returns undefined once all steps are done */
  nextStep({ target, done }: Revocation): Step | undefined {
    return stepsOf(target)[done];
  }

  isLast({ target, done }: Revocation): boolean {
    return done === stepsOf(target).length - 1;
  }

  /**
   * Does a step, renews its lease meanwhile, and records it as done. A next step without a pause is leased to the caller
   * as well.
   */
  async take(revocation: Revocation, step: () => Promise<Revocation>): Promise<Revocation> {
    const claim = setInterval(() => {
      // If the renewal fails, another node repeats the step.
      this.#change(revocation, (now) => ({ ...now, dueAt: this.#clock.now() + CLAIM })).catch(() => undefined);
    }, CLAIM / 2).unref();
    // Read in parallel with the step, to save a round trip. A concurrent change is detected by the version.
    const seen = this.#grants.get(revocationKey(revocation.id));
    seen.catch(() => undefined);
    try {
      return await this.#pass(await step(), await seen);
    } finally {
      clearInterval(claim);
    }
  }

  async #pass(revocation: Revocation, seen: Stored<Revocation> | undefined): Promise<Revocation> {
    const done = revocation.done + 1;
    const next = this.nextStep({ ...revocation, done });
    const passed = { ...revocation, done, dueAt: this.#clock.now() + this.#pauseBefore(next) };
    const key = revocationKey(revocation.id);
    if (next === undefined) {
      await this.#grants.delete(key);
      return passed;
    }
    // Another node may have continued while this one was paused, with an earlier instant than the change.
    const isAhead = (now: Revocation): boolean => now.done >= done && now.at >= passed.at;
    const isThere = await update(this.#grants, key, seen, (now) => (isAhead(now) ? undefined : passed), this.#options);
    if (!isThere) await this.#grants.create(key, passed, this.#options);
    return passed;
  }

  /** Returns the time until the next step is due: none for a step that this process cannot do. */
  #pauseBefore(next: Step | undefined): number {
    if (next?.does === 'notify' && !this.#canNotify) return 0;
    return next === undefined || next.pause === 0 ? CLAIM : next.pause;
  }

  async #change({ id }: Revocation, change: (now: Revocation) => Revocation | undefined): Promise<boolean> {
    const key = revocationKey(id);
    return update(this.#grants, key, await this.#grants.get(key), change, this.#options);
  }
}
