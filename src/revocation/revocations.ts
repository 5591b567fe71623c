import type { Announce } from '../events/events.ts';
import type { Revoke, Revoked } from '../events/revocations.ts';
import { newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import type { BackChannelLogout } from '../oidc/logout/back-channel-logout.ts';
import type { Told, WalkParts } from './parts.ts';
import { OpenRevocations, type Revocation } from './steps.ts';
import { walk } from './walk.ts';
import { whoseItWas } from './whose-it-was.ts';

/** Told of each revocation, with its id as often as it takes: what it rejects, it is told again. */
export type RevocationListener = (revoked: Revoked) => Promise<void>;

export interface RevocationParts extends WalkParts {
  random: Random;
  /** What a running server brings along. Without it everything ends all the same, and a server tells of it. */
  server?: {
    announce: Announce;
    logouts: Pick<BackChannelLogout, 'deliver'>;
    /** Told of steps that failed; they are taken again. */
    reportFailure: (error: unknown) => void;
  };
}

const LOOK_EVERY = 500;
/** How many apps are told at once, while the caller waits; the others are told by whoever looks for them. */
const TOLD_AT_ONCE = 100;

/** The one way in which anything is taken back. It is durable before anything happens, so that a crash undoes nothing. */
export class Revocations {
  readonly #parts: RevocationParts;
  readonly #open: OpenRevocations;
  readonly #listeners: RevocationListener[] = [];
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: RevocationParts) {
    this.#parts = parts;
    this.#open = new OpenRevocations(parts.grants, parts.clock, parts.cutLife);
  }

  readonly revoke: Revoke = async (target, cause) => {
    const { grants, clock, random, server } = this.#parts;
    const [id, at] = [newId('rev', clock, random), clock.now()];
    const whose = await whoseItWas(grants, target);
    const ended = await this.#end(await this.#open.begin({ id, target, cause, at, ...whose }));
    // It has ended, whether or not everybody can be told now.
    await this.#goOn(ended).catch(server?.reportFailure);
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
  }

  async #takeDue(): Promise<void> {
    for await (const revocation of this.#open.due())
      await this.#goOn(revocation).catch(this.#parts.server?.reportFailure);
  }

  async #goOn(revocation: Revocation): Promise<void> {
    const { server } = this.#parts;
    const step = this.#open.nextStep(revocation);
    if (step?.does === 'walk') await this.#end(revocation);
    else if (server !== undefined) await this.#tell(revocation, server.announce);
  }

  async #end(revocation: Revocation): Promise<Revocation> {
    let told: Told = [];
    const ended = await this.#open.take(revocation, async () => {
      told = await walk(revocation, this.#parts);
    });
    await this.#parts.server?.logouts.deliver(told.slice(0, TOLD_AT_ONCE));
    return ended;
  }

  async #tell(revocation: Revocation, announce: Announce): Promise<void> {
    await this.#open.take(revocation, async () => {
      for (const listener of this.#listeners) await listener(revocation);
      const { id, target, cause, at: _time, done: _done, dueAt: _due, ...whose } = revocation;
      announce({ type: 'revoked', revocation: id, cause, ...target, ...whose });
    });
  }
}
