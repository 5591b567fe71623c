import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type SemaphoreLimits, openSemaphore, TooBusy } from '../limits/semaphore.ts';
import type { Caller } from '../limits/lane.ts';

/** Reason why a password is too easy to guess. */
export type Weakness = 'near-common' | 'keyboard-row' | 'repeats' | 'sequence' | 'date' | 'own-words' | 'guessable';

export interface EstimateQuestion {
  id: number;
  password: string;
  /** Words about the person and the service, which an attacker tries first. */
  words: readonly string[];
}

export interface EstimateAnswer {
  id: number;
  weakness?: Weakness;
}

/**
 * Number of code points that the estimate considers. The cost grows with the square of the length: 40 take a thread 60
 * ms at most, and 256 take seconds. If the beginning is hard to guess, so is the whole.
 */
const LOOKED_AT = 40;
/** Maximum number of words to search for. */
const MOST_WORDS = 20;
/** Number of code points of each word that the estimate considers. */
const LONGEST_WORD = 60;
/** Milliseconds without a request after which the thread ends and frees its 100 MB of word lists. */
const IDLE = 60_000;
/** Longest wait for an answer in milliseconds, including the start of the thread. */
const PATIENCE = 30_000;
/**
 * Limits on estimates, like those on hashes. The queue holds a few seconds of work, and no address block can fill it.
 */
const LIMITS: SemaphoreLimits = {
  atOnce: 2,
  waiting: { known: 32, unknown: 48 },
  perBlock: 24,
  perAccount: 8,
  crowd: Infinity,
};

interface Waiting {
  resolve: (weakness: Weakness | undefined) => void;
  reject: (error: Error) => void;
}

/** Estimates how many guesses passwords take, on one thread that runs only while needed. */
class PasswordStrength {
  readonly #semaphore = openSemaphore(LIMITS);
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #count = 0;
  #idle: NodeJS.Timeout | undefined;

  /**
   * Finds the weakness of a password. @param password as it is hashed, after normalisation @returns undefined if it
   * takes enough guesses. @throws TooBusy
   */
  weakness(password: string, words: readonly string[], caller: Caller): Promise<Weakness | undefined> {
    const question = {
      password: shortened(password, LOOKED_AT),
      words: [...new Set(words)].slice(0, MOST_WORDS).map((word) => shortened(word, LONGEST_WORD)),
    };
    return this.#semaphore.run(caller, () => this.#ask(question));
  }

  async #ask(question: Omit<EstimateQuestion, 'id'>): Promise<Weakness | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Weakness | undefined>();
    clearTimeout(this.#idle);
    const worker = (this.#worker ??= this.#start());
    worker.ref();
    const id = (this.#count += 1);
    this.#waiting.set(id, { resolve, reject });
    const timeout = setTimeout(() => {
      this.#stop(worker, new TooBusy('the strength of a password was not estimated in time'));
    }, PATIENCE);
    worker.postMessage({ id, ...question } satisfies EstimateQuestion);
    try {
      return await promise;
    } finally {
      clearTimeout(timeout);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#rest(worker);
    }
  }

  #start(): Worker {
    // The worker has the same extension as this module, because the build compiles both to JavaScript.
    const worker = new Worker(new URL(`strength-worker${extname(import.meta.url)}`, import.meta.url));
    worker.on('message', ({ id, weakness }: EstimateAnswer) => this.#waiting.get(id)?.resolve(weakness));
    worker.on('error', (error) => {
      this.#stop(worker, error instanceof Error ? error : new Error('the strength of a password was not estimated'));
    });
    return worker;
  }

  /** Ends the thread after a minute without a request. Until then it does not keep the process alive. */
  #rest(worker: Worker): void {
    worker.unref();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      this.#stop(worker, new Error('nothing was asked'));
    }, IDLE).unref();
  }

  #stop(worker: Worker, error: Error): void {
    if (this.#worker === worker) this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    void worker.terminate();
  }
}

function shortened(text: string, length: number): string {
  return [...text].slice(0, length).join('');
}

/** The estimator of the process. All callers share it, so that the process has only one such thread. */
export const passwordStrength = new PasswordStrength();
