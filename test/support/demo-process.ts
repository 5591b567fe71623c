import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

export interface DemoProcess {
  /** The server; the apps and the API have the three ports after it. */
  readonly port: number;
  /** Everything that it has printed. */
  output(): string;
  /** Ctrl-C. @returns its exit code */
  interrupt(): Promise<number | null>;
}

/** The time a demo may take to start on a busy machine, in milliseconds. */
const START_LIMIT = 45_000;
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** `npm start` as a newcomer runs it, in a directory of its own. */
export async function startDemoProcess(directory: string, port: number): Promise<DemoProcess> {
  const child = spawn(process.execPath, [main, 'start'], {
    cwd: directory,
    env: { ...process.env, LATCHKEY_PORT: String(port), NODE_ENV: 'development' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
  await untilPrinted(child, () => output, 'Ctrl-C').catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  return {
    port,
    output: () => output,
    async interrupt() {
      child.kill('SIGINT');
      if (child.exitCode === null) await once(child, 'exit');
      return child.exitCode;
    },
  };
}

async function untilPrinted(child: ChildProcess, output: () => string, text: string): Promise<void> {
  const until = performance.now() + START_LIMIT;
  while (!output().includes(text)) {
    if (child.exitCode !== null || performance.now() > until) throw new Error(`the demo did not start:\n${output()}`);
    await sleep(50);
  }
}
