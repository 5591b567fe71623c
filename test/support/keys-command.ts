import assert from 'node:assert/strict';
import { run } from '../../src/cli/run.ts';

/** Where the server is whose keys are meant. */
export interface KeysOf {
  directory: string;
  issuer: string;
  /** The store URL. */
  store: string;
}

/** Runs `latchkey keys …` in this process, beside a test server; it has to succeed. */
export async function keysCommand({ directory, issuer, store }: KeysOf, ...line: string[]): Promise<void> {
  const said: string[] = [];
  const say = (text: string): void => void said.push(text);
  const environment = {
    LATCHKEY_STORE: store,
    LATCHKEY_KEYS_DIR: directory,
    LATCHKEY_ISSUER: issuer,
    LATCHKEY_PORT: new URL(issuer).port,
  };
  const terminal = { environment, print: say, warn: say, ask: () => Promise.resolve(undefined) };
  assert.equal(await run(['keys', ...line], terminal), 0, said.join('\n'));
}
