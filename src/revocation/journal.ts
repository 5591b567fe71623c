import type { RevocationTarget, Revoked } from '../events/revocations.ts';
import type { Clock } from '../lib/clock.ts';
import { everyRecord } from '../storage/every-member.ts';
import { keyspace, type Index, type Key, type Store, type Stored, type WriteOptions } from '../storage/store.ts';
import { update } from '../storage/update.ts';

/** A revocation on its way through the store. */
export interface Revocation extends Revoked {
  /** Number of its steps that are done. */
  done: number;
  /** The change behind it is not known to be made: it counts from the moment at which its first step is done. */
  isPending?: true;
  /** Everybody has been told. */
  isTold?: true;
  /** From when on any node may take the next one, in milliseconds since the epoch. */
  dueAt: number;
}

const revocationKey: (id: string) => Key<Revocation> = keyspace<Revocation>('revocation');
const openRevocations: Index<Revocation> = 'revocations';

export interface Step {
  does: 'walk' | 'tell';
  /** Milliseconds after the step before it. */
  pause: number;
}

/**
 * Requests that were under way when it began may write what the walk has passed already, so it is walked again. The last
 * time is longer after than any request takes.
 */
const STEPS: readonly Step[] = [
  { does: 'walk', pause: 0 },
  { does: 'tell', pause: 0 },
  { does: 'walk', pause: 1000 },
  { does: 'walk', pause: 4000 },
  { does: 'walk', pause: 30_000 },
  { does: 'tell', pause: 0 },
];

/** Nothing makes more of one token, or of a key that is gone. */
function stepsOf({ what }: RevocationTarget): readonly Step[] {
  return what === 'token' || what === 'key' ? STEPS.slice(0, 2) : STEPS;
}

/** For how long whoever takes a step has it to itself, in milliseconds; after a crash another one takes it again. */
const CLAIM = 3000;

/** The revocations that are not over yet, and who does the next step of each. */
export class OpenRevocations {
  readonly #grants: Store;
  readonly #clock: Clock;
  readonly #options: WriteOptions;
  readonly #canTell: boolean;

  /** @param rules the life of what nobody goes on with, in seconds, and whether this process is one that can tell */
  constructor(grants: Store, clock: Clock, { life, canTell }: { life: number; canTell: boolean }) {
    this.#canTell = canTell;
    this.#grants = grants;
    this.#clock = clock;
    this.#options = { ttl: life, indexes: [openRevocations] };
  }

  /** Makes it durable; its first step is the caller's. @param isPending a change is to be made first, in that step */
  async begin(revoked: Revoked, isPending: boolean): Promise<Revocation> {
    const pending = isPending ? ({ isPending } as const) : {};
    const revocation = { ...revoked, ...pending, done: 0, dueAt: this.#clock.now() + CLAIM };
    await this.#grants.create(revocationKey(revoked.id), revocation, this.#options);
    return revocation;
  }

  /** Those whose next step is due; it is the caller's once it is yielded. */
  async *due(): AsyncGenerator<Revocation> {
    for await (const { key, value, version } of everyRecord(this.#grants, openRevocations)) {
      if (value.dueAt > this.#clock.now()) continue;
      const claimed = { ...value, dueAt: this.#clock.now() + CLAIM };
      if (await this.#grants.replace(key, claimed, version, this.#options)) yield claimed;
    }
  }

  /** @returns nothing once it is over */
  nextStep({ target, done }: Revocation): Step | undefined {
    return stepsOf(target)[done];
  }

  isLast({ target, done }: Revocation): boolean {
    return done === stepsOf(target).length - 1;
  }

  /**
   * Does a step, which stays the caller's for as long as it takes, and notes that it is done, with what the step returns.
   * A next one without a pause is the caller's too.
   */
  async take(revocation: Revocation, step: () => Promise<Revocation>): Promise<Revocation> {
    const claim = setInterval(() => {
      // Without it another node does the same once more.
      this.#change(revocation, (now) => ({ ...now, dueAt: this.#clock.now() + CLAIM })).catch(() => undefined);
    }, CLAIM / 2).unref();
    // Read beside the step, so that noting it is one wait; whoever changed it meanwhile is met by the version.
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
    // Another node may have gone on with it while this one stood still, from an earlier instant than the change.
    const isAhead = (now: Revocation): boolean => now.done >= done && now.at >= passed.at;
    const isThere = await update(this.#grants, key, seen, (now) => (isAhead(now) ? undefined : passed), this.#options);
    if (!isThere) await this.#grants.create(key, passed, this.#options);
    return passed;
  }

  /** A step without a pause is the caller's too; one that it cannot do is anybody's at once. */
  #pauseBefore(next: Step | undefined): number {
    if (next?.does === 'tell' && !this.#canTell) return 0;
    return next === undefined || next.pause === 0 ? CLAIM : next.pause;
  }

  async #change({ id }: Revocation, change: (now: Revocation) => Revocation | undefined): Promise<boolean> {
    const key = revocationKey(id);
    return update(this.#grants, key, await this.#grants.get(key), change, this.#options);
  }
}
