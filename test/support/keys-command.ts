import assert from 'node:assert/strict';
import { systemClock } from '../../src/lib/clock.ts';
import { besides, command, type Beside } from './command.ts';

/** Runs `latchkey keys …` in this process, beside a test server; it has to succeed. It shares the process's clock, as the server does. */
export async function keysCommand(server: Beside, ...line: string[]): Promise<void> {
  const { code, out, err } = await command(['keys', ...line], { environment: besides(server), clock: systemClock });
  assert.equal(code, 0, out + err);
}
