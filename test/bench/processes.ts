import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Usage } from './probe.ts';

/** A measured process: the server, or the floor. */
export interface Measured {
  readonly url: string;
  usage(): Promise<Usage>;
  /** Sends a question and waits for the answer. */
  ask(question: string): Promise<unknown>;
  /** Says something to it and waits for its answer. */
  tell(message: object): Promise<void>;
  stop(): Promise<void>;
}

/** The measured processes have one CPU to themselves, the load and Redis have the others. */
const isPinned = process.platform === 'linux' && availableParallelism() > 1;
const MEASURED_CPU = '0';
const PROBES = {
  sqlite: ['probe.ts'],
  redis: ['probe-redis.ts'],
  postgres: ['probe-postgres.ts'],
  'postgres and redis': ['probe-postgres.ts', 'probe-redis.ts'],
};

export function leaveTheMeasuredCpu(): void {
  if (!isPinned) return;
  spawnSync('taskset', ['-pc', `1-${availableParallelism() - 1}`, String(process.pid)]);
}

export interface Program {
  /** For Node itself. */
  options?: readonly string[];
  /** The file and its arguments. */
  line: readonly string[];
  /** Its origin. */
  url: string;
  store: keyof typeof PROBES;
  /** Beside this process's own environment. */
  environment?: NodeJS.ProcessEnv;
}

export async function startMeasured({ options = [], line, url, store, environment }: Program): Promise<Measured> {
  const probes = PROBES[store].flatMap((name) => ['--import', new URL(name, import.meta.url).href]);
  const command = [process.execPath, ...options, ...probes, ...line];
  const [file = '', ...rest] = isPinned ? ['taskset', '-c', MEASURED_CPU, ...command] : command;
  // Its log goes nowhere, but it is written, as in production.
  const child = spawn(file, rest, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, ...environment },
  });
  await untilAnswers(`${url}/healthz`, child);
  const ask = async (message: object | string): Promise<unknown> => {
    const answer = once(child, 'message') as Promise<[unknown]>;
    child.send(message);
    return (await answer)[0];
  };
  return {
    url,
    ask,
    usage: async () => (await ask('usage')) as Usage,
    async tell(message) {
      await ask(message);
    },
    stop: () => stop(child),
  };
}

/** What `npm start` runs: what is measured is what people start. */
export const startCommand = readStartCommand();

function readStartCommand(): { options: string[]; line: string[] } {
  const root = new URL('../../', import.meta.url);
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { scripts: { start: string } };
  const [, ...words] = scripts.start.split(' ');
  const program = words.findIndex((word) => !word.startsWith('-'));
  const [file = '', ...rest] = words.slice(program);
  return { options: words.slice(0, program), line: [new URL(file, root).pathname, ...rest] };
}

/** @throws Error when the process ends instead */
export async function untilAnswers(url: string, child: ChildProcess, init: RequestInit = {}): Promise<void> {
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  while (child.exitCode === null && child.signalCode === null) {
    const response = await fetch(url, init).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok === true) return;
    await sleep(5);
  }
  throw new Error(`the process for ${url} ended with ${String(child.exitCode)}:\n${complaint}`);
}

/** As an operator would: what it writes at its end (a CPU profile) is written. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
