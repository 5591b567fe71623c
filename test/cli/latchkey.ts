import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const { PATH, NODE_COMPILE_CACHE } = process.env;

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

export interface Process {
  readonly pid: number;
  /** Waits until what was printed, on either stream, matches so many times. @returns what the pattern's group caught */
  printed(pattern: RegExp, times?: number): Promise<string[]>;
  /** Standard output so far. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
}

/** An empty working directory, where `latchkey` finds nothing but what a test puts there. */
export class WorkingDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'latchkey-cli-'));
  readonly #children: ChildProcess[] = [];

  write(name: string, text: string): void {
    writeFileSync(join(this.path, name), text);
  }

  /** Starts `latchkey` with no environment but what Node needs, no wait for proxies when it is told to stop, and what is given. @param main the program, if it is another one */
  start(args: readonly string[], environment: NodeJS.ProcessEnv = {}, main = MAIN): Process {
    const child = spawn(process.execPath, [main, ...args], {
      cwd: this.path,
      env: { PATH, NODE_COMPILE_CACHE, NO_COLOR: '1', LATCHKEY_DRAIN_DELAY: '0s', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.push(child);
    let out = '';
    let err = '';
    const listeners = new Set<() => void>();
    const heard = (): void => listeners.forEach((listener) => listener());
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      heard();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString();
      heard();
    });
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, out, err }));
    });
    return {
      pid: child.pid ?? 0,
      ended,
      output: () => out,
      kill: (signal) => void child.kill(signal),
      async printed(pattern, times = 1) {
        const matches = () =>
          [...`${out}\n${err}`.matchAll(new RegExp(pattern, 'g'))].map(([all, group]) => group ?? all);
        while (matches().length < times) {
          const more = Promise.withResolvers<undefined>();
          listeners.add(() => more.resolve(undefined));
          const isOver = await Promise.race([more.promise, ended.then(() => true)]);
          if (isOver === true && matches().length < times)
            throw new Error(`ended before ${String(pattern)}:\n${out}${err}`);
        }
        return matches();
      },
    };
  }

  run(args: readonly string[], environment?: NodeJS.ProcessEnv): Promise<Ended> {
    return this.start(args, environment).ended;
  }

  /** Deletes the directory, and kills what a failed test left running in it. */
  remove(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.path, { recursive: true, force: true });
  }
}
