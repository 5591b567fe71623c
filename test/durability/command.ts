import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { freePort } from '../support/free-port.ts';

/** Where a server lives: what stays when its process ends. */
export interface Place {
  readonly directory: string;
  readonly port: number;
  readonly issuer: string;
  /** The store URL. */
  readonly store: string;
  remove(): Promise<void>;
}

/** @param store a store URL; an own SQLite file without it */
export async function newPlace(store?: string): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-durability-'));
  await openMasterKey(directory, { create: true, random: systemRandom });
  const port = await freePort(4);
  return {
    directory,
    port,
    issuer: `http://localhost:${port}`,
    store: store ?? `sqlite:${join(directory, 'store.db')}`,
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** The program as it ships, in a process of its own. */
export interface Command {
  /** Milliseconds from the start of the process to the first answer that it is ready. */
  readonly startedIn: number;
  /** Everything that it has written, to standard output and to standard error. */
  output(): string;
  /** @returns its exit code; `null` where the signal ended it */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
}

const MAIN = join(import.meta.dirname, '../../src/main.ts');
/** The time a server may take to start on a busy machine, in milliseconds. */
const START_LIMIT = 45_000;

/** Runs `latchkey start` in demo mode. */
export async function startCommand(place: Place, environment: NodeJS.ProcessEnv = {}): Promise<Command> {
  const start = performance.now();
  const child = spawn(process.execPath, [MAIN, 'start'], {
    cwd: place.directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      LATCHKEY_PORT: String(place.port),
      LATCHKEY_STORE: place.store,
      LATCHKEY_KEYS_DIR: place.directory,
      LATCHKEY_LOG_LEVEL: 'warn',
      ...environment,
    },
  });
  const written: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => written.push(chunk));
  const output = (): string => Buffer.concat(written).toString();
  const ended = once(child, 'close') as Promise<[number | null]>;
  await Promise.race([
    untilReady(place.issuer),
    ended.then(([code]) => Promise.reject(new Error(`the server ended with ${String(code)}:\n${output()}`))),
  ]).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  return {
    startedIn: Math.round(performance.now() - start),
    output,
    async end(signal) {
      child.kill(signal);
      const [code] = await ended;
      return code;
    },
  };
}

async function untilReady(issuer: string): Promise<void> {
  for (const until = performance.now() + START_LIMIT; performance.now() < until;) {
    const answer = await fetch(new URL('/readyz', issuer)).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.status === 200) return;
    await sleep(10);
  }
  throw new Error(`${issuer} does not become ready`);
}
