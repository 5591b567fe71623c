import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Terminal } from './command.ts';

const nowhere = new Writable({
  write(_chunk, _encoding, done) {
    done();
  },
});

/** Asks on standard error, because standard output holds only the command's result. */
export const ask: Terminal['ask'] = async (question, { isSecret = false } = {}) => {
  const { stdin: input, stderr } = process;
  if (!input.isTTY || !stderr.isTTY) return undefined;
  // In this mode the terminal does not echo. Readline writes the typed text instead, and for a secret it has no output
  // to write to.
  const lines = createInterface({ input, output: isSecret ? nowhere : stderr, terminal: true });
  lines.once('SIGINT', () => process.exit(130));
  const isClosed = new Promise<undefined>((resolve) => lines.once('close', () => resolve(undefined)));
  if (isSecret) stderr.write(question);
  const answer = await Promise.race([lines.question(isSecret ? '' : question), isClosed]);
  lines.close();
  if (isSecret || answer === undefined) stderr.write('\n');
  return answer;
};
