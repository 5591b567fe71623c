import type { Item } from './store.ts';

/** The kinds of records that the records store holds. Every other kind is in the grants store, and expires. */
export const RECORD_KINDS: ReadonlySet<string> = new Set([
  ...['account', 'account-email', 'password', 'password-cost', 'consent', 'issuer-link'],
  ...['client', 'disabled-client', 'trusted-issuer', 'invitation', 'key-ring'],
  ...['signal-stream', 'signal-subject', 'signal-acquaintance'],
  ...['readiness', 'store-marker', 'store-origin', 'store-loading'],
]);

/** Kinds of the records store that expire, too. */
export const EXPIRING_KINDS: ReadonlySet<string> = new Set(['readiness', 'invitation']);

/** The kind of an item: the name of its keyspace, of its index, its counter or its bitmap. */
export function kindOf(item: Item): string {
  const name = item.kind === 'member' ? item.index : item.key;
  return name.slice(0, (name.indexOf(':') + 1 || name.length + 1) - 1);
}

/** The store that an item belongs to. */
export function roleOf(item: Item): 'records' | 'grants' {
  return item.kind === 'record' && RECORD_KINDS.has(kindOf(item)) ? 'records' : 'grants';
}

/** Tells whether a record lacks the end that its kind has. */
export function lacksEnd(item: Item): boolean {
  if (item.kind !== 'record' || item.expiresAt !== undefined) return false;
  const kind = kindOf(item);
  return EXPIRING_KINDS.has(kind) || !RECORD_KINDS.has(kind);
}
