import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type SemaphoreLimits, openSemaphore, TooBusy } from '../limits/semaphore.ts';
import type { Caller } from '../limits/lane.ts';

/** Why a password takes too few guesses. */
export type Weakness = 'near-common' | 'keyboard-row' | 'repeats' | 'sequence' | 'date' | 'own-words' | 'guessable';

export interface EstimateQuestion {
  id: number;
  password: string;
  /** Words that a guesser tries first: the person's own, and the service's. */
  words: readonly string[];
}

export interface EstimateAnswer {
  id: number;
  weakness?: Weakness;
}

/**
 * Code points that are looked at. The cost grows with the square of the length: 40 take 60 ms of a thread at most, 256 take
 * seconds. A password whose beginning is hard to guess is hard to guess.
 */
const LOOKED_AT = 40;
/** Words that are looked for, and the code points of each. */
const MOST_WORDS = 20;
const LONGEST_WORD = 60;
/** Milliseconds without a question after which the thread ends, and with it its 100 MB of word lists. */
const IDLE = 60_000;
/** Milliseconds that an answer may take, the start of the thread included. */
const PATIENCE = 30_000;
/** As for hashes: the waiting ones are a few seconds of work, and nobody waits behind one address block alone. */
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

/** Estimates how many guesses passwords take, on one thread that is there only while it is needed. */
export class PasswordStrength {
  readonly #semaphore = openSemaphore(LIMITS);
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #count = 0;
  #idle: NodeJS.Timeout | undefined;

  /**
   * @param password in the form in which it is hashed
   * @returns undefined for a password that takes enough guesses. @throws TooBusy
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
    // The package is in JavaScript.
    const worker = new Worker(new URL(`strength-worker${extname(import.meta.url)}`, import.meta.url));
    worker.on('message', ({ id, weakness }: EstimateAnswer) => this.#waiting.get(id)?.resolve(weakness));
    worker.on('error', (error) => {
      this.#stop(worker, error instanceof Error ? error : new Error('the strength of a password was not estimated'));
    });
    return worker;
  }

  /** The process may end while the thread has nothing to do. */
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

/** The process has one such thread, as it has one pool of threads for hashes. */
export const passwordStrength = new PasswordStrength();
