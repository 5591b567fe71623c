import { domainToUnicode } from 'node:url';
import type { Account } from './account.ts';

/**
 * Lengths of the beginnings by which a word is found. A beginning of another length is found by the next shorter one of
 * these, and then compared.
 */
const LENGTHS = [2, 3, 4, 6, 9];
/** The maximum number of words of a field, and of a search, that are considered. */
const WORDS = 6;

/** Splits a text into words of letters and digits, without case and accents. */
export function wordsOf(text: string): string[] {
  const plain = text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();
  return plain.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '').slice(0, WORDS); // prettier-ignore
}

/** Returns the beginnings by which a search finds an account: those of the words of its name and address. */
export function beginningsOf({ email, name }: Pick<Account, 'email' | 'name'>): string[] {
  // Nearly all addresses end in one of a few labels, so nobody would find a person by them.
  const words = [...wordsOf(name), ...addressesOf(email).flatMap((one) => wordsOf(one.slice(0, one.lastIndexOf('.'))))];
  return [...new Set(words.flatMap((word) => LENGTHS.flatMap((length) => beginning(word, length))))];
}

/** Returns the longest beginning of a word by which accounts are found; undefined if the word is too short. */
export function longestBeginning(word: string): string | undefined {
  return LENGTHS.toReversed().flatMap((length) => beginning(word, length))[0];
}

/** Tells whether each of the words is the beginning of a word of the account's name or address. */
export function hasWords({ email, name }: Pick<Account, 'email' | 'name'>, words: readonly string[]): boolean {
  const own = [...wordsOf(name), ...addressesOf(email).flatMap(wordsOf)];
  return words.every((word) => own.some((one) => one.startsWith(word)));
}

/** Returns the address as it is stored, and also with its domain in Unicode if that differs. */
function addressesOf(email: string): string[] {
  const at = email.lastIndexOf('@') + 1;
  return [...new Set([email, `${email.slice(0, at)}${domainToUnicode(email.slice(at))}`])];
}

function beginning(word: string, length: number): string[] {
  const characters = [...word];
  return characters.length < length ? [] : [characters.slice(0, length).join('')];
}
