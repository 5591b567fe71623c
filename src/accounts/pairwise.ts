import { createCipheriv, createDecipheriv } from 'node:crypto';
import { equalInConstantTime, hmacSha256 } from '../lib/hash.ts';

/**
 * Maps accounts to the subjects that clients see. A client with a sector sees a pairwise subject (OpenID Connect Core
 * §8.1), so that clients of two sectors cannot recognise the same person. A client without a sector sees the account
 * id.
 */
export interface SubjectNames {
  subjectFor(account: string, sector: string | undefined): string;
  /** @returns undefined for a subject that no account has in this sector */
  accountFor(subject: string, sector: string | undefined): string | undefined;
}

/** Label of the ring's key for pairwise subjects. */
export const SUBJECT_NAMES = 'pairwise subjects';

/** The prefix of account ids. Client ids cannot begin with it (RFC 9700 §4.15). */
const PREFIX = 'acc_';
const CIPHER = 'aes-256-ctr';
const IV = 16;

/**
 * Opens the mapping. It encrypts the account id under a synthetic IV, an HMAC of sector and id (Core §8.1, RFC 5297).
 * The result is the same each time and on every node, and it needs no record. Only this server can decrypt it.
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
