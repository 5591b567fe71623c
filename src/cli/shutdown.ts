import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import { ReportedElsewhere } from './command.ts';

/** Something that runs until it is closed: a server, the demo beside it, a set of worker processes. */
export interface Running {
  /** Announces the shutdown but still serves, so that proxies send requests elsewhere. */
  leave(): void;
  /** Finishes open requests, then closes. */
  close(): Promise<void>;
  /** Closes at once and aborts open requests. */
  closeNow(): void;
  /** Reloads files that another program may have renewed. */
  reload(): void;
}

/** Combines several into one: the last to start is the first to stop. */
export function together(parts: readonly Running[]): Running {
  const stopping = parts.toReversed();
  return {
    leave() {
      for (const part of stopping) part.leave();
    },
    async close() {
      for (const part of stopping) await part.close();
    },
    closeNow() {
      for (const part of stopping) part.closeNow();
    },
    reload() {
      for (const part of parts) part.reload();
    },
  };
}

/**
 * Milliseconds after the first signal in which another one counts as the same: under `npm start`, Ctrl-C comes from the
 * terminal and again from npm.
 */
const SAME_SIGNAL = 500;

/** Messages of a primary process to its workers. */
type Order = 'leave' | 'close' | 'reload';

interface StopOptions {
  say: (text: string) => void;
  /** Seconds for which the server still accepts connections, while proxies learn that it shuts down. */
  delay: number;
}

/**
 * Waits for a signal to stop: the first drains, a second stops hard. SIGHUP reads certificates again.
 * @returns the exit code, once all is closed: 0 drained, 1 stopped hard
 */
export async function untilStopped(running: Running, { say, delay }: StopOptions): Promise<number> {
  const signals = listen(running);
  const first = await signals.next();
  // If a person stops the server at a terminal, no proxy stands before it.
  const wait = first === 'SIGINT' && process.stdin.isTTY ? 0 : delay;
  const still = wait > 0 ? `serving new requests for ${wait} s, then ` : '';
  say(`shutting down: ${still}finishing open requests; press Ctrl-C again to stop immediately`);
  const settled = Promise.withResolvers<undefined>();
  const timer = setTimeout(settled.resolve, SAME_SIGNAL, undefined);
  const abandoned = new AbortController();
  const drained = drain(running, wait, abandoned.signal).then(() => 0);
  const hard = settled.promise.then(() => signals.next()).then(() => 1);
  const code = await Promise.race([drained, hard]).finally(() => clearTimeout(timer));
  if (code !== 0) {
    abandoned.abort();
    running.closeNow();
  }
  signals.stop();
  return code;
}

async function drain(running: Running, wait: number, signal: AbortSignal): Promise<void> {
  if (wait > 0) {
    running.leave();
    const isOver = await sleep(wait * 1000, true, { signal }).catch(() => false);
    if (!isOver) return;
  }
  await running.close();
}

/** Listens until the process ends, because a signal during its end must not change its exit code. */
function listen(running: Running): { next(): Promise<NodeJS.Signals>; stop(): void } {
  let waiting: (signal: NodeJS.Signals) => void = () => undefined;
  let reload = () => running.reload();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => waiting(signal));
  process.on('SIGHUP', () => reload());
  return {
    next: () => new Promise((resolve) => (waiting = resolve)),
    stop: () => (reload = () => undefined),
  };
}

/**
 * Ignores Ctrl-C in a worker: it reaches the whole process group, so the worker waits for its primary's order. SIGTERM
 * drains the worker as it would drain a server without workers, however often it comes.
 */
export async function untilDrained(running: Running, delay: number): Promise<number> {
  process.on('SIGINT', () => undefined);
  process.on('SIGHUP', () => running.reload());
  await new Promise<void>((resolve) => {
    const orders: Record<Order, () => void> = {
      leave: () => running.leave(),
      close: resolve,
      reload: () => running.reload(),
    };
    process.on('message', (order: Order) => orders[order]());
    process.on('SIGTERM', () => {
      running.leave();
      setTimeout(resolve, delay * 1000).unref();
    });
  });
  await running.close();
  // An open channel to the primary would keep the process alive.
  cluster.worker?.disconnect();
  return 0;
}

/** Milliseconds until a worker that ended is replaced: doubled each time one ends without having listened. */
const FIRST_DELAY = 200;
const LONGEST_DELAY = 30_000;

/**
 * Runs this command in `count` processes that share the port. The first one starts alone, so that the first start
 * creates things once and a faulty configuration fails once. @throws ReportedElsewhere if the first one ends instead of
 * listening
 */
export async function startWorkers(count: number, say: (text: string) => void): Promise<Running> {
  const first = cluster.fork();
  if (!(await listens(first))) throw new ReportedElsewhere('the first worker did not start');
  const crew = new Crew(say);
  say(`worker ${first.process.pid ?? ''} is ready`);
  crew.keep(first);
  for (let started = 1; started < count; started++) crew.keep(cluster.fork());
  return crew;
}

/** Resolves to true once the worker listens, or to false if it ends before that. */
function listens(worker: Worker): Promise<boolean> {
  return new Promise((resolve) => {
    worker.once('listening', () => resolve(true));
    worker.once('exit', () => resolve(false));
  });
}

/** Restarts workers that die, until the crew is closed. */
class Crew implements Running {
  readonly #say: (text: string) => void;
  readonly #workers = new Set<Worker>();
  readonly #replacements = new Set<NodeJS.Timeout>();
  #stopping = false;
  #delay = FIRST_DELAY;

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  keep(worker: Worker): void {
    this.#workers.add(worker);
    worker.once('listening', () => {
      this.#delay = FIRST_DELAY;
      this.#say(`worker ${worker.process.pid ?? ''} is ready`);
    });
    worker.once('exit', (code: number | null, signal: string | null) => {
      this.#workers.delete(worker);
      if (!this.#stopping)
        this.#replace(`worker ${worker.process.pid ?? ''} ended (${signal ?? `code ${code ?? ''}`})`);
    });
  }

  #replace(reason: string): void {
    this.#say(`${reason}; another one starts in ${this.#delay} ms`);
    const timer = setTimeout(() => {
      this.#replacements.delete(timer);
      this.keep(cluster.fork());
    }, this.#delay);
    this.#replacements.add(timer);
    this.#delay = Math.min(this.#delay * 2, LONGEST_DELAY);
  }

  leave(): void {
    this.#stop();
    this.#tell('leave');
  }

  async close(): Promise<void> {
    this.#stop();
    const ended = [...this.#workers].map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
    this.#tell('close');
    await Promise.all(ended);
  }

  closeNow(): void {
    this.#stop();
    for (const worker of this.#workers) worker.process.kill('SIGKILL');
  }

  reload(): void {
    this.#tell('reload');
  }

  #stop(): void {
    this.#stopping = true;
    for (const timer of this.#replacements) clearTimeout(timer);
  }

  #tell(order: Order): void {
    for (const worker of this.#workers) if (worker.isConnected()) worker.send(order);
  }
}
