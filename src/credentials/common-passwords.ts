import { readFileSync } from 'node:fs';

const LIST = '@zxcvbn-ts/language-common/src/passwords.json';

export interface CommonPasswords {
  /** Compares the whole password, in lower case. */
  has(password: string): boolean;
}

/**
 * The 49,000 most common passwords of public breaches. The file is searched as one text: that takes half a megabyte,
 * and a tenth of a millisecond for each new password. A set of strings would hold several megabytes permanently.
 */
export function readCommonPasswords(): CommonPasswords {
  const text = readFileSync(new URL(import.meta.resolve(LIST)), 'utf8');
  return { has: (password) => text.includes(JSON.stringify(password.toLowerCase())) };
}
