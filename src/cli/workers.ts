import cluster, { type Worker } from 'node:cluster';
import { ReportedElsewhere } from './command.ts';
import type { Running } from './shutdown.ts';

/** Messages of a primary process to its workers. */
type Order = 'leave' | 'close' | 'reload';

/**
 * Runs a worker until it must stop. Ctrl-C reaches the whole process group, so the worker ignores it and waits for its
 * primary's order. SIGTERM drains the worker as it drains a server without workers, but a second SIGTERM does not stop
 * it at once.
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

/** Milliseconds until an ended worker is replaced. The delay doubles with each replacement, until a worker listens. */
const FIRST_DELAY = 200;

const LONGEST_DELAY = 30_000;

/**
 * Runs this command in `count` processes that share the port. The first process starts alone, so that it creates keys
 * and stores once, and so that a faulty configuration fails once. @throws ReportedElsewhere if it ends instead of
 * listening
 */
export async function startWorkers(count: number, say: (text: string) => void): Promise<Running> {
  const first = cluster.fork();
  if (!(await listens(first))) throw new ReportedElsewhere('the first worker did not start');
  const crew = new Crew(say);
  say(`worker ${first.process.pid ?? ''} is ready`);
  crew.watch(first);
  for (let started = 1; started < count; started++) crew.watch(cluster.fork());
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

  watch(worker: Worker): void {
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
    this.#say(`${reason}; a new one starts in ${this.#delay} ms`);
    const timer = setTimeout(() => {
      this.#replacements.delete(timer);
      this.watch(cluster.fork());
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
