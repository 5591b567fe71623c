import type { Announce } from '../events/events.ts';
import type { Revoke, Revoked } from '../events/revocations.ts';
import { newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import type { BackChannelLogout } from '../oidc/logout/back-channel-logout.ts';
import { TOLD_AT_ONCE, type Told, type WalkParts } from './parts.ts';
import { OpenRevocations, type Revocation } from './steps.ts';
import { walk } from './walk.ts';
import { whoseItWas } from './whose-it-was.ts';

/** Told of each revocation, with its id as often as it takes: what it rejects, it is told again. */
export type RevocationListener = (revoked: Revoked) => Promise<void>;

export interface RevocationParts extends WalkParts {
  random: Random;
  /** Parts of a running server. Without them everything ends all the same, and a server notifies the apps. */
  server?: {
    announce: Announce;
    logouts: Pick<BackChannelLogout, 'deliver'>;
    /** Told of steps that failed; they are taken again. */
    reportFailure: (error: unknown) => void;
  };
}

const LOOK_EVERY = 500;
/** Revocations that a node continues at the same time. */
const AT_ONCE = 20;

/** The one way in which anything is taken back. It is durable before anything happens, so that a crash undoes nothing. */
export class Revocations {
  readonly #parts: RevocationParts;
  readonly #open: OpenRevocations;
  readonly #listeners: RevocationListener[] = [];
  /** The revocations that this node is continuing, and its search for more. */
  readonly #goingOn = new Set<Promise<void>>();
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: RevocationParts) {
    this.#parts = parts;
    this.#open = new OpenRevocations(parts.grants, parts.clock, {
      life: parts.cutLife,
      canTell: parts.server !== undefined,
    });
  }

  readonly revoke: Revoke = async (target, cause, change) => {
    const { grants, clock, random, server } = this.#parts;
    const [id, at] = [newId('rev', clock, random), clock.now()];
    const whose = await whoseItWas(grants, target);
    const begun = await this.#open.begin({ id, target, cause, at, ...whose }, change !== undefined);
    const ended = await this.#end(begun, change);
    // It has ended: whoever asked need not wait until everybody has been told.
    if (server !== undefined) this.#keepOn(ended);
  };

  onRevoked(listener: RevocationListener): void {
    this.#listeners.push(listener);
  }

  /** Goes on with what others have begun, and with what is due again, until it is closed. */
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

  /** One that takes long, such as the end of everything, holds up no other. */
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
      if (step.does === 'tell' && server === undefined) return;
      now = step.does === 'walk' ? await this.#end(now) : await this.#tell(now);
      if ((this.#open.nextStep(now)?.pause ?? 0) > 0) return;
    }
  }

  /** @param change to be made first; a node that goes on with another's does not know of it */
  async #end(revocation: Revocation, change?: () => Promise<unknown>): Promise<Revocation> {
    let told: Told = [];
    const ended = await this.#open.take(revocation, async () => {
      await change?.();
      const settled = this.#settled(revocation, change !== undefined);
      told = await walk(settled, this.#parts);
      return settled;
    });
    await this.#parts.server?.logouts.deliver(told.slice(0, TOLD_AT_ONCE));
    return ended;
  }

  /** Sign-ins by the former password while the new one was being stored ends too, so it counts from now. */
  #settled({ isPending, ...revocation }: Revocation, isOurs: boolean): Revocation {
    if (isPending === undefined) return revocation;
    return { ...revocation, at: this.#parts.clock.now(), ...(!isOurs && { isBrokenOff: true }) };
  }

  /** A listener that fails must not hold up the sweeps: it is told at the end, until it takes it. */
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
