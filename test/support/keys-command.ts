import assert from 'node:assert/strict';
import { besides, command, type Beside } from './command.ts';

/** Runs `latchkey keys …` in this process, beside a test server; it has to succeed. */
export async function keysCommand(server: Beside, ...line: string[]): Promise<void> {
  const { code, out, err } = await command(['keys', ...line], { environment: besides(server) });
  assert.equal(code, 0, out + err);
}
