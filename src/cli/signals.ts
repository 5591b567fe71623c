import cluster from 'node:cluster';
import type { Running } from './running.ts';

/**
 * Ctrl-C under `npm start` comes twice, from the terminal and again from npm: what follows the first signal at once
 * belongs to it. In milliseconds.
 */
const SAME_SIGNAL = 500;

/**
 * Waits for a signal to stop: the first drains, a second stops hard.
 * @returns the exit code, once all is closed: 0 drained, 1 stopped hard
 */
export async function untilStopped(running: Running, say: (text: string) => void): Promise<number> {
  const signals = listen();
  await signals.next();
  say('stopping: what has begun may end; once more to stop at once');
  const settled = Promise.withResolvers<undefined>();
  const timer = setTimeout(settled.resolve, SAME_SIGNAL, undefined);
  const drained = running.close().then(() => 0);
  const hard = settled.promise.then(() => signals.next()).then(() => 1);
  const code = await Promise.race([drained, hard]).finally(() => clearTimeout(timer));
  if (code !== 0) running.closeNow();
  signals.stop();
  return code;
}

function listen(): { next(): Promise<void>; stop(): void } {
  let waiting: () => void = () => undefined;
  const heard = () => waiting();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, heard);
  return {
    next: () => new Promise((resolve) => (waiting = resolve)),
    stop: () => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, heard);
    },
  };
}

/** A worker leaves Ctrl-C, which reaches the whole group, to its primary, and drains on SIGTERM however often it comes. */
export async function untilDrained(running: Running): Promise<number> {
  process.on('SIGINT', () => undefined);
  await new Promise<void>((resolve) => process.on('SIGTERM', () => resolve()));
  await running.close();
  // The channel to the primary would keep the process.
  cluster.worker?.disconnect();
  return 0;
}
