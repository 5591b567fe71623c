import { hash as digest } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { outgoingFetch, type OutgoingOptions } from '../outgoing/outgoing-fetch.ts';

/** Tells whether a password is known from data breaches. Takes the password as it is hashed, after normalisation. */
export type IsBreached = (password: string) => Promise<boolean>;

interface BreachedOptions {
  /** A file of SHA-1 hashes in hexadecimal, in ascending order, one to a line, with or without `:COUNT` after it. */
  file?: string | undefined;
  /** URL of a range look-up: Pwned Passwords, or a mirror. The server appends the first digits of a hash. */
  range_url?: string | undefined;
}

/**
 * Number of hexadecimal digits of the hash that the look-up sees. About 2,000 breached passwords share them
 * (k-anonymity).
 */
const PREFIX = 5;
/** Longest wait for the look-up in milliseconds. */
const PATIENCE = 3000;
/** Number of bytes that is enough for any two lines of the file. */
const WINDOW = 256;

/**
 * Searches the file and the look-up that the operator configured. The look-up sees only the first five digits of the
 * password's SHA-1. If a search fails, the password passes, because an outage elsewhere must not stop sign-up.
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
    // Padded answers have similar lengths, so an observer cannot infer the prefix.
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

/** Searches the file on disk by bisection: about 35 short reads in a file of 40 GB. */
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

/**
 * Returns the hash of the first line that begins at or after `place`, and the end of that line. At `low` a line always
 * begins. The hash is undefined beyond the last line.
 */
async function lineAt(
  file: FileHandle,
  place: number,
  low: number,
): Promise<{ line: string | undefined; end: number }> {
  // The byte before `place` shows whether a line begins exactly there.
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
