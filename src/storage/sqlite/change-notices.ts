import type { Clock } from '../../lib/clock.ts';
import { withRetry } from './with-retry.ts';
import type { Statements } from './statements.ts';

type Listener = (message: string) => void;

/** Polling period in milliseconds. A process polls only while it has a listener. */
const POLL = 200;
/** Lifetime of a notice in milliseconds: far longer than the polling period. */
const LIFE = 60_000;

/**
 * Notices between processes that share one file. They are rows of the table `hints`, which each listening process
 * polls.
 */
export class ChangeNotices {
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
    await withRetry(() => this.#statements.addHint.run(channel, message, this.#clock.now() + LIFE));
  }

  async subscribe(channel: string, listener: Listener): Promise<() => Promise<void>> {
    if (this.#timer === undefined) {
      this.#seen = await withRetry(() => Number(this.#statements.lastHint.get()?.['id']));
      this.#timer ??= setInterval(() => {
        this.#poll();
      }, POLL).unref();
    }
    // The wrapper makes a listener that is added twice count as two, each of which is removed separately.
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
      return []; // The next poll finds the notice.
    }
  }
}
