import { run } from '../../src/cli/run.ts';
import type { Terminal } from '../../src/cli/command.ts';
import type { Clock } from '../../src/lib/clock.ts';

export interface Ended {
  code: number;
  out: string;
  err: string;
}

/** Where the server is that a command works beside. */
export interface Beside {
  directory: string;
  issuer: string;
  /** The store URL. */
  store: string;
}

export interface Said {
  /** What the person at the terminal answers, in turn; where nothing is given, nobody is there. */
  answers?: readonly string[];
  input?: string;
  environment?: NodeJS.ProcessEnv;
  /** In place of the store's. */
  clock?: Clock;
}

const DEMO_NOTICE = 'latchkey: this is the store of the demo ';

/** Runs a command line in this process. */
export async function command(line: readonly string[], said: Said = {}): Promise<Ended & { asked: string[] }> {
  const printed = { out: '', err: '' };
  const asked: string[] = [];
  const terminal: Terminal = {
    environment: said.environment ?? {},
    ...(said.clock && { clock: said.clock }),
    print: (text) => void (printed.out += `${text}\n`),
    // Commands beside a test server work on the store of a demo, as they say each time.
    warn: (text) => void (printed.err += text.startsWith(DEMO_NOTICE) ? '' : `${text}\n`),
    ask: (question, { isSecret = false } = {}) => {
      asked.push(isSecret ? `(secretly) ${question}` : question);
      return Promise.resolve(said.answers?.[asked.length - 1]);
    },
    input: () => Promise.resolve(said.input ?? ''),
  };
  const code = await run(line, terminal);
  return { code, ...printed, asked };
}

/** The environment of a command that works on the store of a test server. */
export function besides({ directory, issuer, store }: Beside): NodeJS.ProcessEnv {
  return {
    LATCHKEY_STORE: store,
    LATCHKEY_KEYS_DIR: directory,
    LATCHKEY_ISSUER: issuer,
    LATCHKEY_PORT: new URL(issuer).port,
  };
}
