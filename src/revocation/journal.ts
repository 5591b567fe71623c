import type { RevocationTarget, Revoked } from '../events/events.ts';
import type { Clock } from '../lib/clock.ts';
import type { Lease } from '../storage/lease.ts';
import { keyspace, type Index, type Key, type Store } from '../storage/store.ts';
import { upsert } from '../storage/update.ts';
import { WorkQueue } from '../storage/work-queue.ts';

/** An unfinished revocation, as stored. */
export interface Revocation extends Revoked {
  /** Number of its steps that are done. */
  done: number;
  /** Set until the caller's change, such as a new password, is made. `at` then becomes the time after the change. */
  isPending?: true;
  /** Set once every listener has been called. */
  isTold?: true;
  /** Time from which any node may take the next step, in milliseconds since the epoch. */
  dueAt: number;
}

const revocationKey: (id: string) => Key<Revocation> = keyspace<Revocation>('revocation');
const openRevocations: Index<Revocation> = 'revocations';

interface Step {
  does: 'apply' | 'notify';
  /** Milliseconds after the previous step. */
  pause: number;
}

/**
 * Steps of a revocation. It is applied repeatedly, because requests in progress may write records that an earlier pass
 * could not find. The last pass starts later than any such request can end.
 */
const STEPS: readonly Step[] = [
  { does: 'apply', pause: 0 },
  { does: 'notify', pause: 0 },
  { does: 'apply', pause: 1000 },
  { does: 'apply', pause: 4000 },
  { does: 'apply', pause: 30_000 },
  { does: 'notify', pause: 0 },
];

/** Returns the steps for a target. The revocation of a single token or key needs no repetition. */
function stepsOf({ what }: RevocationTarget): readonly Step[] {
  return what === 'token' || what === 'key' ? STEPS.slice(0, 2) : STEPS;
}

/** Length of a lease on a step in milliseconds. After a crash another node repeats the step. */
const LEASE = 3000;

/** The unfinished revocations, and the leases on their next steps. */
export class RevocationJournal {
  readonly queue: WorkQueue<Revocation>;
  readonly #canNotify: boolean;

  /** @param rules the lifetime of an abandoned entry in seconds, and whether this process can notify apps */
  constructor(grants: Store, clock: Clock, { life, canNotify }: { life: number; canNotify: boolean }) {
    this.queue = new WorkQueue({ store: grants, clock, index: openRevocations, life, lease: LEASE });
    this.#canNotify = canNotify;
  }

  /**
   * Stores a revocation and leases its first step to the caller.
   * @param isPending true if the caller has yet to make its change, in that step
   */
  async begin(revoked: Revoked, isPending: boolean): Promise<Lease<Revocation>> {
    const pending = isPending ? ({ isPending } as const) : {};
    return this.queue.begin(revocationKey(revoked.id), { ...revoked, ...pending, done: 0, dueAt: 0 });
  }

  /** @returns the next step; undefined once all steps are done */
  nextStep({ target, done }: Revocation): Step | undefined {
    return stepsOf(target)[done];
  }

  isLast({ target, done }: Revocation): boolean {
    return done === stepsOf(target).length - 1;
  }

  /**
   * Records a step as done. If the next step has no pause and this process can do it, the caller keeps the lease.
   * @param passed the revocation after the step
   * @returns whether the caller should continue with the next step
   */
  async pass(lease: Lease<Revocation>, passed: Revocation): Promise<boolean> {
    const now = { ...passed, done: passed.done + 1 };
    const next = this.nextStep(now);
    if (next === undefined) {
      await lease.done();
      return false;
    }
    const goesOn = next.pause === 0 && (next.does !== 'notify' || this.#canNotify);
    const dueAt = this.queue.rules.clock.now() + next.pause;
    const isHeld = goesOn ? await lease.renew(() => now) : await lease.reschedule(() => ({ ...now, dueAt }));
    if (!isHeld) await this.#merge(lease.key, now);
    return goesOn && isHeld;
  }

  /**
   * Records a step although the lease was lost. The node that continued may have used an earlier instant than this
   * node's change. In that case the steps are repeated with the later instant.
   */
  async #merge(key: Key<Revocation>, passed: Revocation): Promise<void> {
    const { store, clock } = this.queue.rules;
    const due = { ...passed, dueAt: clock.now() };
    const isAhead = (now: Revocation): boolean => now.at > due.at || (now.at === due.at && now.done >= due.done);
    const change = (now: Revocation) => (isAhead(now) ? undefined : due);
    await upsert(store, key, await store.get(key), { first: due, change }, this.queue.open);
  }
}
