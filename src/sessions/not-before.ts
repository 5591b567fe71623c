import { keyspace, type Key, type Store } from '../storage/store.ts';
import { upsert } from '../storage/update.ts';

/**
 * A not-before instant in milliseconds since the epoch. Everything that began earlier is invalid, even if no index
 * lists it.
 */
interface NotBefore {
  before: number;
}

const notBeforeKey = keyspace<NotBefore>('cut');

/**
 * The scope of a not-before instant: everything of an account, a client or everybody, or the assertions of trusted
 * issuers. A restored store does not know which assertions were used.
 */
type NotBeforeScope = { account: string } | { client: string } | 'everybody' | 'assertions';

function keyOf(of: NotBeforeScope): Key<NotBefore> {
  if (of === 'everybody') return notBeforeKey('all');
  if (of === 'assertions') return notBeforeKey(of);
  return 'account' in of ? notBeforeKey(`account:${of.account}`) : notBeforeKey(`client:${of.client}`);
}

/** Moves the instant later, never earlier. @param ttl in seconds; longer than the life of anything that it invalidates */
export async function writeNotBefore(grants: Store, of: NotBeforeScope, before: number, ttl: number): Promise<void> {
  const first: NotBefore = { before };
  const change = (now: NotBefore): NotBefore | undefined => (now.before < before ? first : undefined);
  await upsert(grants, keyOf(of), undefined, { first, change }, { ttl });
}

/** The owners of a record. */
interface Owner {
  account?: string | undefined;
  client?: string | undefined;
}

/** Tells whether a not-before instant of the account, the client or everybody invalidates what began at this time. */
export async function isInvalidated(
  grants: Store,
  { startedAt, ...owner }: Owner & { startedAt: number },
): Promise<boolean> {
  return startedAt < (await latestNotBefore(grants, owner));
}

/** @returns the latest instant for an account, a client and everybody, in milliseconds since the epoch; 0 without one */
export async function latestNotBefore(grants: Store, { account, client }: Owner): Promise<number> {
  const keys = [
    keyOf('everybody'),
    ...(account === undefined ? [] : [keyOf({ account })]),
    ...(client === undefined ? [] : [keyOf({ client })]),
  ];
  const found = await grants.getMany(keys);
  return Math.max(0, ...found.map((record) => record?.value.before ?? 0));
}

/** @returns the instant before which no assertion may have been issued, in milliseconds since the epoch */
export async function assertionsNotBefore(grants: Store): Promise<number> {
  return (await grants.get(keyOf('assertions')))?.value.before ?? 0;
}
