import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Terminal } from './command.ts';

const nowhere = new Writable({
  write(_chunk, _encoding, done) {
    done();
  },
});

/** Asks on standard error, so that standard output stays what the command prints. */
export const ask: Terminal['ask'] = async (question, { isSecret = false } = {}) => {
  const { stdin: input, stderr } = process;
  if (!input.isTTY || !stderr.isTTY) return undefined;
  // The terminal does not echo: readline writes what is shown, and for a secret it writes nowhere.
  const lines = createInterface({ input, output: isSecret ? nowhere : stderr, terminal: true });
  lines.once('SIGINT', () => process.exit(130));
  const isClosed = new Promise<undefined>((resolve) => lines.once('close', () => resolve(undefined)));
  if (isSecret) stderr.write(question);
  const answer = await Promise.race([lines.question(isSecret ? '' : question), isClosed]);
  lines.close();
  if (isSecret || answer === undefined) stderr.write('\n');
  return answer;
};
