import { basename } from 'node:path';
import { secretToken, systemRandom } from '../lib/random.ts';
import { findAction, type Actions } from './actions.ts';
import { textOf, type Arguments, type Command, type Terminal } from './command.ts';
import { writeNew } from './text-files.ts';

interface SecretContext {
  given: Arguments;
  terminal: Terminal;
}

const ACTIONS: Actions<SecretContext> = { new: { options: ['file'], run: makeSecret } };

export const secret: Command = {
  name: 'secret',
  summary: 'generate a secret for a client',
  details: `secret new                          prints a new secret, and nothing else, to standard output
secret new --file secrets/shop      writes it to a new file that only its owner can read

A secret has 256 bits (43 characters). Refer to it in the configuration: secret: { file: secrets/shop } or { env: SHOP_SECRET }`,
  options: { file: { value: 'FILE', summary: 'for new: the file to write the secret to, instead of printing it' } },
  words: ['ACTION'],
  run(given, terminal) {
    const { action } = findAction(secret, ACTIONS, given);
    return action.run({ given, terminal });
  },
};

/** Makes a secret. The lines to paste go to standard error, so that a script reads nothing but the secret. */
function makeSecret({ given, terminal }: SecretContext): Promise<number> {
  const made = secretToken(systemRandom);
  const file = textOf(given, 'file');
  if (file === undefined) {
    terminal.print(made);
    terminal.warn(
      'This secret is not shown again. Give it to the app, and to the server in the environment or in a file:\n' +
        '  secret: { env: SHOP_SECRET }       # export SHOP_SECRET=…\n' +
        '  secret: { file: secrets/shop }     # latchkey secret new --file secrets/shop',
    );
    return Promise.resolve(0);
  }
  writeNew(file, `${made}\n`, 0o600);
  terminal.print(`wrote a new secret to ${file}`);
  terminal.warn(
    `In the configuration: secret: { file: ${file} }, relative to the folder of the configuration file.\n` +
      `The app needs the same secret: ${envName(file)}="$(cat ${file})"`,
  );
  return Promise.resolve(0);
}

function envName(file: string): string {
  return `${basename(file).replace(/\W+/g, '_').toUpperCase()}_SECRET`;
}
