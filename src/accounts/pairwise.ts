import { createCipheriv, createDecipheriv } from 'node:crypto';
import { equalInConstantTime, hmacSha256 } from '../lib/hash.ts';

/**
 * The names that accounts have for clients. A client of a sector knows an account by a name of that sector's own (OpenID
 * Connect Core §8.1), which apps of two sectors cannot compare; one without a sector by the account's id.
 */
export interface SubjectNames {
  subjectFor(account: string, sector: string | undefined): string;
  /** @returns undefined for a name that no account has in this sector */
  accountFor(subject: string, sector: string | undefined): string | undefined;
}

/** The purpose for which the ring derives the key. */
export const SUBJECT_NAMES = 'pairwise subjects';

/** As ids of accounts begin, and names of clients do not (RFC 9700 §4.15). */
const PREFIX = 'acc_';
const CIPHER = 'aes-256-ctr';
const IV = 16;

/**
 * The id of the account encrypted under a synthetic IV, an HMAC of sector and id (as Core §8.1 and RFC 5297 have it): the
 * same each time, on every node, without a record, and only this server finds the account again.
 */
export function openSubjectNames(key: Buffer): SubjectNames {
  const cipherKey = Buffer.from(hmacSha256(key, 'cipher'), 'base64url');
  const ivFor = (account: string, sector: string) =>
    Buffer.from(hmacSha256(key, `${sector}\n${account}`), 'base64url').subarray(0, IV);
  const subjectFor = (account: string, sector: string | undefined): string => {
    if (sector === undefined) return account;
    const iv = ivFor(account, sector);
    const cipher = createCipheriv(CIPHER, cipherKey, iv);
    return `${PREFIX}${Buffer.concat([iv, cipher.update(account, 'utf8'), cipher.final()]).toString('base64url')}`;
  };
  return {
    subjectFor,
    accountFor(subject, sector) {
      if (sector === undefined) return subject;
      const bytes = Buffer.from(subject.slice(PREFIX.length), 'base64url');
      if (bytes.length <= IV) return undefined;
      const cipher = createDecipheriv(CIPHER, cipherKey, bytes.subarray(0, IV));
      const account = Buffer.concat([cipher.update(bytes.subarray(IV)), cipher.final()]).toString('utf8');
      return equalInConstantTime(subjectFor(account, sector), subject) ? account : undefined;
    },
  };
}
