import type { Config } from '../config/schema.ts';
import { OPERATOR } from '../limits/lane.ts';
import type { Passwords } from '../credentials/passwords.ts';
import { passwordWords } from '../credentials/password-rules.ts';
import { textOf, type Option } from './command.ts';
import { readText } from './text-files.ts';
import type { StoreContext } from './store-context.ts';

/**
 * The option `--password-file FILE`, which several actions share. It names a file, because everybody on the machine
 * could read a password on the command line.
 */
export const passwordOption: Option = {
  value: 'FILE',
  summary: 'for add and password: the file that holds the password, or - for standard input (default: ask)',
};

/**
 * Reads a new password from the named file, or asks the person at the terminal. @returns undefined if the person enters
 * none, or if there is no terminal
 */
export async function askPassword({ given, terminal }: StoreContext): Promise<string | undefined> {
  const file = textOf(given, 'password-file');
  if (file !== undefined) {
    const password = (await readText(file, terminal)).replace(/\r?\n$/, '');
    if (password === '')
      throw new Error(`there is no password in ${file === '-' ? 'standard input' : file}: put it on one line`);
    return password;
  }
  const password = await terminal.ask('Password (empty for none): ', { isSecret: true });
  if (password === undefined || password === '') return undefined;
  const again = await terminal.ask('Repeat the password: ', { isSecret: true });
  if (again !== password) throw new Error('the two passwords differ: run the command again');
  return password;
}

/** Applies the rules of the pages to a new password. @throws Error if it breaks one */
export async function assertAcceptable(
  password: string,
  person: { email: string; name: string },
  { passwords, config }: { passwords: Passwords; config: Config },
): Promise<void> {
  const problem = await passwords.problem(password, person, OPERATOR);
  if (problem === undefined) return;
  throw new Error(`this password cannot be used. ${passwordWords(config.passwords.min_length)[problem]}`);
}
