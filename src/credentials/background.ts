import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { type Argon2Job, type Argon2Result, doArgon2Job } from './argon2-jobs.ts';

/** Path of the program next to this module. It has the same extension as this module, which is `.js` in a package. */
const PROGRAM = new URL(`./background-process${extname(import.meta.url)}`, import.meta.url);
const IDLE = 60_000;
/**
 * Environment of the process. It does one job at a time, so one thread is enough. With more threads, glibc would keep
 * the memory of a hash for each.
 */
const ENVIRONMENT = { UV_THREADPOOL_SIZE: '1', MALLOC_ARENA_MAX: '1' };

interface Pending {
  readonly job: Argon2Job;
  readonly resolve: (result: Promise<Argon2Result> | Argon2Result) => void;
}

/**
 * Hashes passwords in a process of lower priority, so that requests and known devices get the processor first. The
 * first job starts the process, and a minute without jobs ends it. Until the process is ready, or if it dies, the
 * server hashes in its own process.
 */
export class Background {
  #child: ChildProcess | undefined;
  #isReady = false;
  #isClosed = false;
  #count = 0;
  readonly #pending = new Map<number, Pending>();
  #timer: NodeJS.Timeout | undefined;
  readonly #idle: number;

  /** @param idle milliseconds without work after which the process ends */
  constructor(idle = IDLE) {
    this.#idle = idle;
  }

  run(job: Argon2Job): Promise<Argon2Result> {
    if (this.#isClosed) return doArgon2Job(job);
    this.#child ??= this.#start();
    this.#endWhenIdle(this.#child);
    if (!this.#isReady) return doArgon2Job(job);
    const id = (this.#count += 1);
    const { promise, resolve } = Promise.withResolvers<Argon2Result>();
    this.#pending.set(id, { job, resolve });
    // If the process is gone, the job cannot be sent, and `#forget` does it here.
    this.#child.send({ id, job }, () => undefined);
    return promise;
  }

  /** The id of the process, if it runs. */
  get pid(): number | undefined {
    return this.#isReady ? this.#child?.pid : undefined;
  }

  /** Ends the process. The server then does its pending jobs in its own process. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    if (this.#child?.connected) this.#child.disconnect();
  }

  #start(): ChildProcess {
    const child = fork(PROGRAM, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [], env: ENVIRONMENT });
    child.on('message', (message: 'ready' | { id: number; result: Argon2Result }) => {
      if (message === 'ready') this.#isReady = true;
      else this.#settle(message.id, message.result);
    });
    const onEnd = (): void => {
      this.#forget(child);
    };
    child.on('error', onEnd).on('disconnect', onEnd).on('exit', onEnd);
    // The process does not keep the server alive.
    child.unref();
    child.channel?.unref();
    return child;
  }

  #settle(id: number, result: Promise<Argon2Result> | Argon2Result): void {
    this.#pending.get(id)?.resolve(result);
    this.#pending.delete(id);
  }

  /** Forgets a process that has ended, and does its unfinished jobs here. */
  #forget(child: ChildProcess): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#isReady = false;
    for (const [id, { job }] of this.#pending) this.#settle(id, doArgon2Job(job));
  }

  #endWhenIdle(child: ChildProcess): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#pending.size === 0 && child.connected) child.disconnect();
    }, this.#idle).unref();
  }
}
