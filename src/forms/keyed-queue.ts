import { PATIENCE } from './patience.ts';
import { Problem } from '../http/problems.ts';

/** Most requests that may wait for one key. */
const WAITING = 8;

interface Waiter {
  begin: () => void;
}

/**
 * Runs this node's tasks for one key one at a time, so that only one of them polls the store. Every waiting request polls
 * often, and a stranger can send one form many times.
 */
export class KeyedQueue {
  /** Keys with a running task, and the waiters behind it. */
  readonly #queues = new Map<string, Waiter[]>();

  /** @throws Problem `busy` if it takes too long, `sent-too-often` if too many wait already */
  async run<T>(name: string, task: () => Promise<T>): Promise<T> {
    await this.#enter(name);
    try {
      return await task();
    } finally {
      this.#leave(name);
    }
  }

  async #enter(name: string): Promise<void> {
    const queue = this.#queues.get(name);
    if (queue === undefined) {
      this.#queues.set(name, []);
      return;
    }
    if (queue.length >= WAITING) throw new Problem('sent-too-often', 'others wait already', { 'Retry-After': '2' });
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const waiter = { begin: () => resolve(undefined) };
    queue.push(waiter);
    const timer = setTimeout(() => {
      queue.splice(queue.indexOf(waiter), 1);
      reject(new Problem('busy', 'other requests for the same form do not come to their end', { 'Retry-After': '2' }));
    }, PATIENCE);
    await promise.finally(() => clearTimeout(timer));
  }

  #leave(name: string): void {
    const next = this.#queues.get(name)?.shift();
    if (next === undefined) this.#queues.delete(name);
    else next.begin();
  }
}
