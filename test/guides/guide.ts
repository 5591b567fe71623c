import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/free-port.ts';

const GUIDES = join(import.meta.dirname, '../../docs/guides');
/** A package registry does not always answer. */
const TRIES = 3;
/** Looks, ten a second, for the port of a program that was started: a JVM on a busy machine takes its time. */
const STARTING = 3000;

/** What a guide says: its files, the shell block that brings the packages and builds, and the one that starts the program. */
export interface Guide {
  readonly name: string;
  readonly text: string;
  readonly files: Readonly<Record<string, string>>;
  readonly install: string;
  readonly start: string;
}

/** @param change of the guide's whole text, such as its addresses */
export async function readGuide(name: string, change = (text: string): string => text): Promise<Guide> {
  const text = change(await readFile(join(GUIDES, `${name}.md`), 'utf8'));
  const [install = '', start = ''] = [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, lines = '']) => lines);
  const shown = [...text.matchAll(/^`(\S+)`:\n\n```\w+\n(.*?)^```/gms)];
  return {
    name,
    text,
    install,
    start,
    files: Object.fromEntries(shown.map(([, file = '', code = '']) => [file, code])),
  };
}

/** The program that a guide shows, as it runs. */
export interface GuideProgram {
  readonly said: () => string;
  close(): Promise<void>;
}

/** Runs what a guide shows, and nothing else, in an empty directory until it listens at its port. */
export async function runGuide(guide: Guide, port: number, environment: Record<string, string>): Promise<GuideProgram> {
  const directory = await mkdtemp(join(tmpdir(), `latchkey-guide-${guide.name}-`));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  const shell = (script: string): Shell => runShell(script, directory, environment);
  try {
    for (const [file, code] of Object.entries(guide.files)) {
      await mkdir(dirname(join(directory, file)), { recursive: true });
      await writeFile(join(directory, file), code);
    }
    await installed(() => shell(`set -e\n${guide.install}`));
    const program = shell(guide.start);
    await untilListening(String(port), program);
    return {
      said: program.said,
      async close() {
        await program.end();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** An API made of what a guide says, and of nothing else. */
export interface GuideApi {
  /** What it answers at a path: its status, and its challenge or else its text. */
  answerTo(token: string, path?: string): Promise<string>;
  close(): Promise<void>;
}

export async function startGuide(name: string, environment: Record<string, string>): Promise<GuideApi> {
  const port = await freePort();
  const program = await runGuide(await readGuide(name), port, { ...environment, PORT: String(port) });
  return {
    close: () => program.close(),
    async answerTo(token, path = '/notes') {
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
      const text = await response.text();
      return `${response.status} ${response.headers.get('www-authenticate') ?? text.trim()}`;
    },
  };
}

interface Shell {
  readonly process: ChildProcess;
  readonly ended: Promise<unknown>;
  readonly said: () => string;
  /** Ends it with all that it started. */
  end(): Promise<void>;
}

function runShell(script: string, cwd: string, environment: Record<string, string>): Shell {
  const child = spawn('sh', ['-c', script], { cwd, env: { ...process.env, ...environment }, detached: true });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => said.push(piece));
  const ended = once(child, 'close');
  return {
    process: child,
    ended,
    said: () => Buffer.concat(said).toString(),
    async end() {
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) process.kill(-child.pid);
      await ended;
    },
  };
}

async function installed(run: () => Shell): Promise<void> {
  let said = '';
  for (let left = TRIES; left > 0; left -= 1) {
    const shell = run();
    await shell.ended;
    if (shell.process.exitCode === 0) return;
    said = shell.said();
  }
  throw new Error(said);
}

async function untilListening(port: string, program: Shell): Promise<void> {
  for (let look = 0; look <= STARTING; look += 1) {
    const isThere = await fetch(`http://localhost:${port}/`, { redirect: 'manual' }).then(
      () => true,
      () => false,
    );
    if (isThere) return;
    if (program.process.exitCode !== null) break;
    await sleep(100);
  }
  await program.end();
  throw new Error(program.said());
}
