import { hash as digest } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { outgoingFetch, type OutgoingOptions } from '../outgoing/outgoing-fetch.ts';

/** Tells whether a password is known from data breaches. The password is in the form in which it is hashed. */
export type IsBreached = (password: string) => Promise<boolean>;

export interface BreachedOptions {
  /** A file of SHA-1 hashes in hexadecimal, in ascending order, one to a line, with or without `:COUNT` after it. */
  file?: string | undefined;
  /** The range look-up of Pwned Passwords, or of a mirror; the first digits of a hash come after it. */
  range_url?: string | undefined;
}

/** Hexadecimal digits of the hash that the look-up is told; some 2,000 breached passwords share them (k-anonymity). */
const PREFIX = 5;
/** Milliseconds that a person waits for the look-up. */
const PATIENCE = 3000;
/** Bytes that hold any two lines of the file. */
const WINDOW = 256;

/**
 * Looks in the file and asks the look-up, as far as the operator has named them. Of the password, the look-up is told the
 * first five digits of its SHA-1. Where one of them fails, the password passes: a service of others must not keep people
 * from signing up.
 */
export function openBreachedPasswords(
  { file, range_url: rangeUrl }: BreachedOptions,
  { allow, ca, reportFailure }: Pick<OutgoingOptions, 'allow' | 'ca'> & { reportFailure: (err: unknown) => void },
): IsBreached {
  const call = outgoingFetch({ allow, ca, timeout: PATIENCE });
  const failed = (error: unknown): boolean => {
    reportFailure(error);
    return false;
  };
  return async (password) => {
    const hash = digest('sha1', password, 'hex').toUpperCase();
    if (file !== undefined && (await fileHas(file, hash).catch(failed))) return true;
    return rangeUrl !== undefined && rangeHas(call, rangeUrl, hash).catch(failed);
  };
}

async function rangeHas(call: typeof fetch, rangeUrl: string, hash: string): Promise<boolean> {
  const answer = await call(rangeUrl + hash.slice(0, PREFIX), {
    // Padded answers are all of about one length, so nobody on the way learns the prefix from it.
    headers: { 'Add-Padding': 'true', 'User-Agent': 'Latchkey' },
  });
  if (answer.status !== 200) throw new Error(`the look-up of breached passwords answered ${answer.status}`);
  const rest = hash.slice(PREFIX);
  return (await answer.text()).split('\n').some((line) => {
    const [suffix = '', count] = line.trim().split(':');
    // A padding entry has the count 0.
    return suffix.toUpperCase() === rest && count !== '0';
  });
}

/** A binary search in the file as it lies on the disk: some 35 short reads in one of 40 GB. */
async function fileHas(path: string, hash: string): Promise<boolean> {
  const file = await open(path);
  try {
    let low = 0;
    let high = (await file.stat()).size;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const { line, end } = await lineAt(file, middle, low);
      if (line === hash) return true;
      if (line !== undefined && line < hash) low = end;
      else high = middle;
    }
    return false;
  } finally {
    await file.close();
  }
}

/** The first hash on a line that begins at or after a place, or on the line that begins at `low`; none beyond the last one. */
async function lineAt(
  file: FileHandle,
  place: number,
  low: number,
): Promise<{ line: string | undefined; end: number }> {
  // One byte before tells whether a line begins right here.
  const from = place === low ? place : place - 1;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(WINDOW), 0, WINDOW, from);
  const text = buffer.toString('latin1', 0, bytesRead);
  const begin = place === low ? 0 : text.indexOf('\n') + 1;
  if (begin === 0 && place !== low) return { line: undefined, end: place };
  const after = text.indexOf('\n', begin);
  const line = text.slice(begin, after === -1 ? undefined : after);
  if (line.trim() === '') return { line: undefined, end: place };
  return { line: line.trim().split(':')[0]?.toUpperCase(), end: from + (after === -1 ? text.length : after + 1) };
}
