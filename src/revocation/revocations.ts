import type { Announce } from '../events/events.ts';
import type { Revoke, Revoked } from '../events/revocations.ts';
import { newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import type { BackChannelLogout } from '../oidc/logout/back-channel-logout.ts';
import { TOLD_AT_ONCE, type Told, type RevocationDependencies } from './dependencies.ts';
import { RevocationJournal, type Revocation } from './journal.ts';
import { applyRevocation } from './apply.ts';
import { ownerOfTarget } from './target-owner.ts';

/** Listener for revocations. If it rejects, it is called again with the same id. */
export type RevocationListener = (revoked: Revoked) => Promise<void>;

export interface RevocationParts extends RevocationDependencies {
  random: Random;
  /** Parts of a running server. Without them everything ends all the same, and a server notifies the apps. */
  server?:
    | {
        announce: Announce;
        logouts: Pick<BackChannelLogout, 'deliver'>;
        /** Reports a failed step, which is retried. */
        reportFailure: (error: unknown) => void;
      }
    | undefined;
}

const LOOK_EVERY = 500;
/** Revocations that a node continues at the same time. */
const AT_ONCE = 20;

/** The only way to revoke anything. A revocation is stored before it is applied, so that no crash loses it. */
export class Revocations {
  readonly #parts: RevocationParts;
  readonly #open: RevocationJournal;
  readonly #listeners: RevocationListener[] = [];
  /** The revocations that this node is continuing, and its search for more. */
  readonly #goingOn = new Set<Promise<void>>();
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: RevocationParts) {
    this.#parts = parts;
    this.#open = new RevocationJournal(parts.grants, parts.clock, {
      life: parts.notBeforeLife,
      canNotify: parts.server !== undefined,
    });
  }

  readonly revoke: Revoke = async (target, cause, change) => {
    const { grants, clock, random, server } = this.#parts;
    const [id, at] = [newId('rev', clock, random), clock.now()];
    const whose = await ownerOfTarget(grants, target);
    const begun = await this.#open.begin({ id, target, cause, at, ...whose }, change !== undefined);
    const ended = await this.#end(begun, change);
    // Everything has ended, so the caller need not wait for the notifications.
    if (server !== undefined) this.#keepOn(ended);
  };

  onRevoked(listener: RevocationListener): void {
    this.#listeners.push(listener);
  }

  /** Continues other nodes' unfinished revocations, and repeats steps that are due, until it is closed. */
  watch(): void {
    this.#timer = setInterval(() => {
      this.#looking ??= this.#takeDue()
        .catch(this.#parts.server?.reportFailure)
        .finally(() => {
          this.#looking = undefined;
        });
    }, LOOK_EVERY).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
    await Promise.all(this.#goingOn);
  }

  /** Starts every revocation that is due. A long one, such as the end of everything, does not delay the others. */
  async #takeDue(): Promise<void> {
    if (this.#goingOn.size >= AT_ONCE) return;
    for await (const revocation of this.#open.due()) {
      this.#keepOn(revocation);
      if (this.#goingOn.size >= AT_ONCE) return;
    }
  }

  #keepOn(revocation: Revocation): void {
    const goingOn = this.#goOn(revocation)
      .catch(this.#parts.server?.reportFailure)
      .finally(() => this.#goingOn.delete(goingOn));
    this.#goingOn.add(goingOn);
  }

  /** Does the steps that are due, up to those that only a server can do. */
  async #goOn(revocation: Revocation): Promise<void> {
    const { server } = this.#parts;
    let now = revocation;
    for (let step = this.#open.nextStep(now); step !== undefined; step = this.#open.nextStep(now)) {
      if (step.does === 'notify' && server === undefined) return;
      now = step.does === 'apply' ? await this.#end(now) : await this.#tell(now);
      if ((this.#open.nextStep(now)?.pause ?? 0) > 0) return;
    }
  }

  /** @param change made first; unknown to a node that continues another node's revocation */
  async #end(revocation: Revocation, change?: () => Promise<unknown>): Promise<Revocation> {
    let told: Told = [];
    const ended = await this.#open.take(revocation, async () => {
      await change?.();
      const settled = this.#settled(revocation, change !== undefined);
      told = await applyRevocation(settled, this.#parts);
      return settled;
    });
    await this.#parts.server?.logouts.deliver(told.slice(0, TOLD_AT_ONCE));
    return ended;
  }

  /** Counts from now, so that sign-ins with the old password that happened during the change end too. */
  #settled({ isPending, ...revocation }: Revocation, isOurs: boolean): Revocation {
    if (isPending === undefined) return revocation;
    return { ...revocation, at: this.#parts.clock.now(), ...(!isOurs && { isBrokenOff: true }) };
  }

  /** Calls the listeners. After a failure they are called again in the last step, so that other steps are not delayed. */
  async #tell(revocation: Revocation): Promise<Revocation> {
    return this.#open.take(revocation, async () => {
      const { id, target, cause, at: _time, done: _done, dueAt: _due, isTold = false, ...whose } = revocation;
      if (isTold) return revocation;
      try {
        for (const listener of this.#listeners) await listener(revocation);
      } catch (error) {
        if (this.#open.isLast(revocation)) throw error;
        this.#parts.server?.reportFailure(error);
        return revocation;
      }
      this.#parts.server?.announce({ type: 'revoked', revocation: id, cause, ...target, ...whose });
      return { ...revocation, isTold: true };
    });
  }
}
