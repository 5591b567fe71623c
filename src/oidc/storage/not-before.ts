import { keyspace, type Key, type Store } from '../../storage/store.ts';
import { update } from '../../storage/update.ts';

/** What began before this counts no more, whatever an index says of it. In milliseconds since the epoch. */
interface Cut {
  before: number;
}

const cutKey = keyspace<Cut>('cut');

/** Whose cut: an account's, a client's or everybody's. */
export type CutOf = { account: string } | { client: string } | 'everybody';

function keyOf(of: CutOf): Key<Cut> {
  if (of === 'everybody') return cutKey('all');
  return 'account' in of ? cutKey(`account:${of.account}`) : cutKey(`client:${of.client}`);
}

/** Only ever moves a cut later. @param ttl in seconds; longer than anything lives that began before */
export async function writeCut(grants: Store, of: CutOf, before: number, ttl: number): Promise<void> {
  const key = keyOf(of);
  if (await grants.create(key, { before }, { ttl })) return;
  const later = (now: Cut): Cut | undefined => (now.before < before ? { before } : undefined);
  await update(grants, key, await grants.get(key), later, { ttl });
}

/** The owner of something, if it has one. */
interface Whose {
  account?: string | undefined;
  client?: string | undefined;
}

/** @returns whether something that began then is from before a cut of its account, its client or everybody */
export async function isCut(grants: Store, { startedAt, ...whose }: Whose & { startedAt: number }): Promise<boolean> {
  return startedAt < (await latestCut(grants, whose));
}

/** @returns the latest cut of an account, a client or everybody, in milliseconds since the epoch; 0 without one */
export async function latestCut(grants: Store, { account, client }: Whose): Promise<number> {
  const keys = [
    keyOf('everybody'),
    ...(account === undefined ? [] : [keyOf({ account })]),
    ...(client === undefined ? [] : [keyOf({ client })]),
  ];
  const cuts = await grants.getMany(keys);
  return Math.max(0, ...cuts.map((cut) => cut?.value.before ?? 0));
}
