import type { Item } from './store.ts';

/** The kinds of records that the records store holds. */
export const RECORD_KINDS: ReadonlySet<string> = new Set([
  ...['account', 'account-key', 'account-email', 'password', 'password-cost', 'consent', 'issuer-link'],
  ...['client', 'disabled-client', 'trusted-issuer', 'invitation', 'key-ring'],
  ...['signal-stream', 'signal-subject', 'signal-acquaintance'],
  ...['readiness', 'store-marker', 'store-origin', 'store-loading', 'store-check', 'store-format', 'store-upgrade'],
]);

/** Kinds of the records store that expire nevertheless. */
export const EXPIRING_KINDS: ReadonlySet<string> = new Set(['readiness', 'invitation']);

/** The kinds of records that the grants store holds. They all expire. */
export const GRANT_KINDS: ReadonlySet<string> = new Set([
  ...['session', 'session-cookie', 'grant', 'first-grant', 'interaction', 'interaction-end', 'interaction-step'],
  ...['answered-form', 'authorization-code', 'refresh-token', 'refresh-answer', 'access-token', 'client-credentials'],
  ...['pushed-authorization-request', 'device-code', 'user-code', 'backchannel-request', 'approval', 'poll-pace'],
  ...['replay', 'used-assertion', 'status-list', 'open-status-list', 'revocation', 'cut', 'logout-delivery'],
  ...['signal', 'signal-queue', 'signal-verification', 'attempt-pause'],
]);

/**
 * Tells whether an item is a record of a kind that this version does not know. A later version may have written it, and
 * it may be durable.
 */
export function isUnknown(item: Item): boolean {
  return item.kind === 'record' && !RECORD_KINDS.has(kindOf(item)) && !GRANT_KINDS.has(kindOf(item));
}

/** Returns the kind of an item: the name of its record, index, counter or bitmap up to the first colon. */
export function kindOf(item: Item): string {
  const name = item.kind === 'member' ? item.index : item.key;
  return name.slice(0, (name.indexOf(':') + 1 || name.length + 1) - 1);
}

/** Tells whether an item is the key of an account, without which nobody can read the account's personal data. */
export function isAccountKey(item: Item): boolean {
  return item.kind === 'record' && kindOf(item) === 'account-key';
}

/** Returns the store that an item belongs to. */
export function roleOf(item: Item): 'records' | 'grants' {
  return item.kind === 'record' && RECORD_KINDS.has(kindOf(item)) ? 'records' : 'grants';
}

/** Tells whether a record has no expiry although records of its kind expire. */
export function lacksExpiry(item: Item): boolean {
  if (item.kind !== 'record' || item.expiresAt !== undefined) return false;
  const kind = kindOf(item);
  return EXPIRING_KINDS.has(kind) || GRANT_KINDS.has(kind);
}
