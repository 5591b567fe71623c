import { hash } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Store } from '../storage/store.ts';
import { FollowedLists, type FollowedList } from './followed-lists.ts';
import { StatusAssigner, type Assigned } from './assigner.ts';
import { listUris } from './lists.ts';
import type { NewToken } from './token-indexes.ts';
import { IndexAllocator } from './index-allocator.ts';
import { revoker, type Learn, type Revoker } from './revoker.ts';
import { SignedLists, type SignedList, type SigningDependencies } from './signed-list.ts';
import { eventText, Streams, TRUSTED_FOR } from './streams.ts';

export interface TokenStatus extends Pick<Revoker, 'isRevoked'> {
  /**
   * Assigns a status index to a token that is about to be issued.
   * @throws StoreUnavailable
   */
  assign(token: NewToken): Promise<Assigned>;
  /** Returns the signed list. @throws StoreUnavailable if the last comparison with the store is too old */
  signed(id: string): Promise<SignedList | undefined>;
  /** Lists the URIs of the live lists. @throws StoreUnavailable as `signed` */
  uris(): Promise<string[]>;
  /**
   * Adds revocations to this node's lists, from which they are restored if the store loses them. @throws
   * StoreUnavailable
   */
  readonly learn: Learn;
  /** Returns the first event of a new stream, with the state of the lists at this call. @throws StoreUnavailable */
  greeting(): Promise<string>;
  readonly streams: Streams;
  /** Drops the signed lists, so that they are signed with the current keys, and makes APIs fetch the keys. */
  keysChanged(): void;
  close(): Promise<void>;
}

interface StatusDependencies extends Pick<SigningDependencies, 'sign'> {
  grants: Store;
  clock: Clock;
  random: Random;
  issuer: string;
  /** Time in seconds for which an API that relies on lists alone may accept a revoked token; at least 2. */
  ttl: number;
  /** The longest access token lifetime, in seconds. */
  longest: number;
  reportFailure: (error: unknown) => void;
}

/** Longest time for which a list accepts new tokens, in seconds. */
const OPEN_FOR = 900;
/** Maximum number of indexes in one event. If there are more, readers must fetch the list. */
const MAX_INDEXES_IN_EVENT = 1000;

/** Starts to follow the lists. @throws StoreUnavailable */
export async function openStatus(dependencies: StatusDependencies): Promise<TokenStatus> {
  const { grants, clock, random, sign, issuer, ttl, longest, reportFailure } = dependencies;
  const { uriOf } = listUris(issuer);
  const revoked = revoker({ grants, clock, issuer });
  const streams = new Streams(clock);
  const allocator = new IndexAllocator({ grants, clock, random, longest, openFor: Math.min(longest, OPEN_FOR) });
  const assigner = new StatusAssigner({ grants, clock, longest, allocator, uriOf });
  const signedLists = new SignedLists({ sign, clock, issuer, ttl, uriOf });
  const lists = new FollowedLists({
    grants,
    clock,
    reportFailure,
    onRevoked: (list, indexes) => streams.tell(revokedText(uriOf(list), indexes)),
    onVerified: () => streams.beat(),
    onLost: (list) => allocator.abandon(list),
  });
  await lists.open();
  return {
    isRevoked: (reference) => revoked.isRevoked(reference),
    assign: (token) => assigner.assign(token),
    async signed(id) {
      const list = await lists.find(id);
      return list && signedLists.of(list);
    },
    uris: async () => (await lists.verified()).map(uriOf),
    learn: (list, indexes) => lists.learn(list, indexes),
    greeting: async () => greeting(await lists.latest(), uriOf),
    streams,
    keysChanged() {
      signedLists.forget();
      streams.tell(eventText('keys', {}));
    },
    async close() {
      streams.close();
      await lists.close();
    },
  };
}

function revokedText(uri: string, indexes: readonly number[]): string {
  return indexes.length > MAX_INDEXES_IN_EVENT
    ? eventText('changed', { uri })
    : eventText('revoked', { uri, idx: indexes });
}

function greeting(lists: readonly FollowedList[], uriOf: (list: FollowedList) => string): string {
  const within = TRUSTED_FOR / 1000;
  return eventText('lists', { within, lists: Object.fromEntries(lists.map((list) => [uriOf(list), contentOf(list)])) });
}

const contents = new WeakMap<FollowedList, { changes: number; content: number }>();

/** Returns a hash of a list's bits. It is equal on all nodes that have the same bits. */
function contentOf(list: FollowedList): number {
  const known = contents.get(list);
  if (known?.changes === list.changes) return known.content;
  const content = hash('sha256', list.bits, 'buffer').readUIntBE(0, 6);
  contents.set(list, { changes: list.changes, content });
  return content;
}
