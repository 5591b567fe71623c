import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { type Argon2Job, type Argon2Result, doArgon2Job } from './argon2-jobs.ts';

/** Beside this file, in the same language: a package has both in JavaScript. */
const PROGRAM = new URL(`./background-process${extname(import.meta.url)}`, import.meta.url);
const IDLE = 60_000;
/** One job at a time needs one thread, and glibc keeps the memory of a hash for each. */
const ENVIRONMENT = { UV_THREADPOOL_SIZE: '1', MALLOC_ARENA_MAX: '1' };

interface Pending {
  readonly job: Argon2Job;
  readonly resolve: (result: Promise<Argon2Result> | Argon2Result) => void;
}

/**
 * Hashes in a process of lower priority, so that the system gives the processor to requests and to known devices first.
 * It is started with the first job, and ended after a minute without any. Until it is there, or when it dies, this process
 * does the work.
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
    // A job that cannot be sent is done here, once the process is known to be gone.
    this.#child.send({ id, job }, () => undefined);
    return promise;
  }

  /** The id of the process, while there is one. */
  get pid(): number | undefined {
    return this.#isReady ? this.#child?.pid : undefined;
  }

  /** Has this process do the jobs that are under way. */
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
    // Nothing waits for it at the end of the server.
    child.unref();
    child.channel?.unref();
    return child;
  }

  #settle(id: number, result: Promise<Argon2Result> | Argon2Result): void {
    this.#pending.get(id)?.resolve(result);
    this.#pending.delete(id);
  }

  /** Does here what it left undone. */
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
