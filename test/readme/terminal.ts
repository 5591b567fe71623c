import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds that a block may take on a busy machine. */
const PATIENCE = 600_000;

/** A person's terminals: each block of the shell is typed into one, and what it started goes on until the end. */
export class Terminals {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #children: ChildProcess[] = [];
  #output = '';

  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
  }

  /** Everything that was printed. */
  get output(): string {
    return this.#output;
  }

  /** Runs a block that ends. @param typed what the person types, at a real terminal. @throws Error where a line of it fails */
  async run(block: string, cwd: string, typed?: readonly string[]): Promise<void> {
    const child = this.#start(typed === undefined ? ['bash', '-ec', block] : terminal(block), cwd);
    if (typed !== undefined) answer(child, typed);
    const [code] = (await Promise.race([once(child, 'close'), sleep(PATIENCE, [-1], { ref: false })])) as [number];
    if (code !== 0) throw new Error(`"${block}" ended with ${code}:\n${this.#output}`);
  }

  /** Starts a block that goes on. @returns once the address answers */
  async leave(block: string, cwd: string, address: string): Promise<void> {
    const child = this.#start(['bash', '-ec', block], cwd);
    const until = performance.now() + PATIENCE;
    while (child.exitCode === null && performance.now() < until) {
      const isUp = await fetch(address).then((answer) => answer.body?.cancel().then(() => true), () => false); // prettier-ignore
      if (isUp === true) return;
      await sleep(100);
    }
    throw new Error(`nothing answers at ${address}:\n${this.#output}`);
  }

  close(): void {
    // Each terminal is a group of its own, so that what it started ends with it.
    for (const { pid, exitCode } of this.#children) {
      if (pid === undefined || exitCode !== null) continue;
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
  }

  #start([program = '', ...args]: readonly string[], cwd: string): ChildProcess {
    const child = spawn(program, args, { cwd, env: this.#environment, detached: true });
    this.#children.push(child);
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    return child;
  }
}

/** Types the next line each time that a question has been asked. */
function answer(child: ChildProcess, lines: readonly string[]): void {
  const left = [...lines];
  child.stdout?.on('data', (chunk: Buffer) => {
    // The question stands there before the terminal is told to show no answer.
    if (chunk.toString().endsWith(': ')) setTimeout(() => child.stdin?.write(`${left.shift() ?? ''}\r`), 500);
  });
}

function terminal(block: string): string[] {
  return ['script', '-qec', `bash -ec '${block.replaceAll("'", "'\\''")}'`, '/dev/null'];
}
