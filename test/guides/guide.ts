import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/free-port.ts';

const GUIDES = join(import.meta.dirname, '../../docs/guides');
/** A package registry does not always answer. */
const TRIES = 3;

/** An API made of what a guide says, and of nothing else. */
export interface GuideApi {
  /** What it answers at a path: its status, and its challenge or else its text. */
  answerTo(token: string, path?: string): Promise<string>;
  close(): Promise<void>;
}

/**
 * Writes the file that a guide shows into an empty directory, runs the guide's first shell block there, which brings the
 * packages and builds, then its second, which starts the API.
 */
export async function startGuide(name: string, environment: Record<string, string>): Promise<GuideApi> {
  const guide = await readFile(join(GUIDES, `${name}.md`), 'utf8');
  const [install = '', start = ''] = [...guide.matchAll(/^```sh\n(.*?)^```/gms)].map(([, lines = '']) => lines);
  const [, file = '', code = ''] = /^`(\S+)`:\n\n```\w+\n(.*?)^```/ms.exec(guide) ?? [];
  const directory = await mkdtemp(join(tmpdir(), `latchkey-guide-${name}-`));
  await writeFile(join(directory, file), code);
  const port = String(await freePort());
  const shell = (script: string): Shell => runShell(script, directory, { ...environment, PORT: port });
  await installed(() => shell(`set -e\n${install}`));
  const api = shell(`exec ${start}`);
  await untilListening(port, api);
  return {
    async answerTo(token, path = '/notes') {
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
      const text = await response.text();
      return `${response.status} ${response.headers.get('www-authenticate') ?? text.trim()}`;
    },
    async close() {
      if (api.process.exitCode === null) {
        api.process.kill();
        await api.ended;
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}

interface Shell {
  readonly process: ChildProcess;
  readonly ended: Promise<unknown>;
  said(): string;
}

function runShell(script: string, cwd: string, environment: Record<string, string>): Shell {
  const child = spawn('sh', ['-c', script], { cwd, env: { ...process.env, ...environment } });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => said.push(piece));
  return { process: child, ended: once(child, 'close'), said: () => Buffer.concat(said).toString() };
}

async function installed(run: () => Shell): Promise<void> {
  for (let left = TRIES - 1; ; left -= 1) {
    const shell = run();
    await shell.ended;
    if (shell.process.exitCode === 0) return;
    if (left === 0) throw new Error(shell.said());
  }
}

async function untilListening(port: string, api: Shell): Promise<void> {
  while (
    !(await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    ))
  ) {
    if (api.process.exitCode !== null) throw new Error(api.said());
    await sleep(50);
  }
}
