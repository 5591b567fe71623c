import type { Item } from './store.ts';

/** The kinds of records that the records store holds. Every other kind is in the grants store, and expires. */
export const RECORD_KINDS: ReadonlySet<string> = new Set([
  ...['account', 'account-key', 'account-email', 'password', 'password-cost', 'consent', 'issuer-link'],
  ...['client', 'disabled-client', 'trusted-issuer', 'invitation', 'key-ring'],
  ...['signal-stream', 'signal-subject', 'signal-acquaintance'],
  ...['readiness', 'store-marker', 'store-origin', 'store-loading', 'store-check', 'store-format', 'store-upgrade'],
]);

/** Kinds of the records store that expire nevertheless. */
export const EXPIRING_KINDS: ReadonlySet<string> = new Set(['readiness', 'invitation']);

/** Returns the kind of an item: the name of its record, index, counter or bitmap up to the first colon. */
export function kindOf(item: Item): string {
  const name = item.kind === 'member' ? item.index : item.key;
  return name.slice(0, (name.indexOf(':') + 1 || name.length + 1) - 1);
}

/** Returns the store that an item belongs to. */
export function roleOf(item: Item): 'records' | 'grants' {
  return item.kind === 'record' && RECORD_KINDS.has(kindOf(item)) ? 'records' : 'grants';
}

/** Tells whether a record has no expiry although records of its kind expire. */
export function lacksExpiry(item: Item): boolean {
  if (item.kind !== 'record' || item.expiresAt !== undefined) return false;
  const kind = kindOf(item);
  return EXPIRING_KINDS.has(kind) || !RECORD_KINDS.has(kind);
}
