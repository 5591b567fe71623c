import type { RevocationTarget, Revoked } from '../events/revocations.ts';
import type { Clock } from '../lib/clock.ts';
import { everyRecord } from '../storage/every-member.ts';
import { keyspace, type Index, type Key, type Store, type WriteOptions } from '../storage/store.ts';
import { update } from '../storage/update.ts';

/** A revocation on its way through the store. */
export interface Revocation extends Revoked {
  /** How many of its steps are done. */
  done: number;
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

  /** @param life of what nobody goes on with, in seconds */
  constructor(grants: Store, clock: Clock, life: number) {
    this.#grants = grants;
    this.#clock = clock;
    this.#options = { ttl: life, indexes: [openRevocations] };
  }

  /** Makes it durable; its first step is the caller's. */
  async begin(revoked: Revoked): Promise<Revocation> {
    const revocation = { ...revoked, done: 0, dueAt: this.#clock.now() + CLAIM };
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

  /** Has somebody else take the next step. */
  async leave(revocation: Revocation): Promise<void> {
    await this.#change(revocation, (now) => ({ ...now, dueAt: this.#clock.now() }));
  }

  /**
   * Does a step, which stays the caller's for as long as it takes, and notes that it is done, with what it returns. A next
   * one without a pause is the caller's too.
   */
  async take(revocation: Revocation, step: () => Promise<Pick<Revocation, 'isTold'>>): Promise<Revocation> {
    const claim = setInterval(() => {
      // Without it another node does the same once more.
      this.#change(revocation, (now) => ({ ...now, dueAt: this.#clock.now() + CLAIM })).catch(() => undefined);
    }, CLAIM / 2).unref();
    try {
      return await this.#pass({ ...revocation, ...(await step()) });
    } finally {
      clearInterval(claim);
    }
  }

  async #pass(revocation: Revocation): Promise<Revocation> {
    const done = revocation.done + 1;
    const next = this.nextStep({ ...revocation, done });
    const pause = next === undefined || next.pause === 0 ? CLAIM : next.pause;
    const passed = { ...revocation, done, dueAt: this.#clock.now() + pause };
    if (next === undefined) await this.#grants.delete(revocationKey(revocation.id));
    else await this.#change(revocation, (now) => (now.done < done ? passed : undefined));
    return passed;
  }

  async #change({ id }: Revocation, change: (now: Revocation) => Revocation | undefined): Promise<void> {
    const key = revocationKey(id);
    await update(this.#grants, key, await this.#grants.get(key), change, this.#options);
  }
}
