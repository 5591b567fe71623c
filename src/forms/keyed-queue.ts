import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '../http/problems.ts';

/** Maximum number of requests that may wait for one key. */
const WAITING = 8;

interface Waiter {
  begin: () => void;
}

/**
 * Runs this node's tasks for one key one after the other, so that only one of them polls the store. Otherwise a
 * stranger could send one form many times, and each waiting request would poll.
 */
export class KeyedQueue {
  /** Keys with a running task, and the waiters behind it. */
  readonly #queues = new Map<string, Waiter[]>();

  /**
   * Runs a task once the earlier tasks for its key have ended. @throws Problem `busy` if it waits too long,
   * `sent-too-often` if too many wait already
   */
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
    if (queue.length >= WAITING)
      throw new Problem('sent-too-often', 'too many requests wait for the same form', { 'Retry-After': '2' });
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const waiter = { begin: () => resolve(undefined) };
    queue.push(waiter);
    const timer = setTimeout(() => {
      queue.splice(queue.indexOf(waiter), 1);
      reject(new Problem('busy', 'other requests for the same form take too long', { 'Retry-After': '2' }));
    }, PATIENCE);
    await promise.finally(() => clearTimeout(timer));
  }

  #leave(name: string): void {
    const next = this.#queues.get(name)?.shift();
    if (next === undefined) this.#queues.delete(name);
    else next.begin();
  }
}

/** Milliseconds between two reads of the store. */
const PAUSE = 100;
/** Longest wait of a request for another one, in milliseconds. */
const PATIENCE = 15_000;

/**
 * Polls until another request, perhaps on another node, has changed the answer from `undefined`. @throws Problem `busy`
 * if that takes too long
 */
export async function untilDefined<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (let waited = 0; waited < PATIENCE; waited += PAUSE) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await sleep(PAUSE);
  }
  throw new Problem('busy', 'another request for the same form takes too long', { 'Retry-After': '2' });
}
