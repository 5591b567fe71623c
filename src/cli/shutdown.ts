import { setTimeout as sleep } from 'node:timers/promises';

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

/** Combines several parts into one. The part that started last stops first. */
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
 * Milliseconds after the first signal within which the server ignores a second one. Under `npm start`, it receives
 * Ctrl-C from the terminal and again from npm.
 */
const SAME_SIGNAL = 500;

interface StopOptions {
  say: (text: string) => void;
  /** Seconds for which the server still accepts connections, while proxies learn that it shuts down. */
  delay: number;
}

/**
 * Waits for a signal to stop. After the first one the server finishes open requests, and after a second one it stops at
 * once. SIGHUP reloads the certificates. @returns the exit code, once everything is closed: 0 after open requests are
 * finished, 1 after an immediate stop
 */
export async function untilStopped(running: Running, { say, delay }: StopOptions): Promise<number> {
  const signals = listen(running);
  const first = await signals.next();
  // A server that a person stops at a terminal has no proxy in front of it, so it closes without delay.
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

/** Listens for signals until the process ends, because a signal during the shutdown must not change the exit code. */
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
