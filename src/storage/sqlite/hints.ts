import type { Clock } from '../../lib/clock.ts';
import { attempt } from './attempt.ts';
import type { Statements } from './statements.ts';

type Listener = (message: string) => void;

/** Milliseconds between two looks for new hints, while someone listens. */
const POLL = 200;
/** How long a hint stays to be seen, in milliseconds: far longer than any process goes without looking. */
const LIFE = 60_000;

/** Hints between the processes that share one file: a table that each listening process looks into. */
export class Hints {
  readonly #statements: Statements;
  readonly #clock: Clock;
  readonly #listeners = new Map<string, Set<Listener>>();
  #timer: NodeJS.Timeout | undefined;
  #seen = 0;

  constructor(statements: Statements, clock: Clock) {
    this.#statements = statements;
    this.#clock = clock;
  }

  async publish(channel: string, message: string): Promise<void> {
    await attempt(() => this.#statements.addHint.run(channel, message, this.#clock.now() + LIFE));
  }

  async subscribe(channel: string, listener: Listener): Promise<() => Promise<void>> {
    if (this.#timer === undefined) {
      this.#seen = await attempt(() => Number(this.#statements.lastHint.get()?.['id']));
      this.#timer ??= setInterval(() => {
        this.#poll();
      }, POLL).unref();
    }
    // Wrapped, so that a listener that is added twice is two listeners, each stopped by itself.
    const own: Listener = (message) => {
      listener(message);
    };
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(own));
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#listeners.get(channel) === listeners) this.#listeners.delete(channel);
      if (this.#listeners.size === 0) this.stop();
      return Promise.resolve();
    };
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#listeners.clear();
  }

  #poll(): void {
    for (const { id, channel, message } of this.#unseen()) {
      this.#seen = Number(id);
      for (const listener of this.#listeners.get(String(channel)) ?? []) listener(String(message));
    }
  }

  #unseen() {
    try {
      return this.#statements.hintsAfter.all(this.#seen);
    } catch {
      return []; // A hint may be lost or late; the next look comes soon.
    }
  }
}
