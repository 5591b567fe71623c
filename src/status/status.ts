import { hash } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Store } from '../storage/store.ts';
import { FollowedLists, type FollowedList } from './followed-lists.ts';
import { Ledger, type Assigned } from './assign.ts';
import { listUris } from './lists.ts';
import type { NewToken } from './ledger.ts';
import { Places } from './places.ts';
import { revoker, type Learn, type Revoker } from './revoker.ts';
import { SignedLists, type SignedList, type SigningParts } from './signed-list.ts';
import { eventText, Streams, TRUSTED_FOR } from './streams.ts';

export interface TokenStatus extends Pick<Revoker, 'isRevoked'> {
  /**
   * Gives a token that is about to be issued its place.
   * @throws StoreUnavailable
   */
  assign(token: NewToken): Promise<Assigned>;
  /** The list of that name, signed. @throws StoreUnavailable when it could not be compared with the store for too long */
  signed(id: string): Promise<SignedList | undefined>;
  /** Lists the URIs of the live lists. @throws StoreUnavailable as `signed` */
  uris(): Promise<string[]>;
  /** Has this node know what it has revoked: a store that loses it gets it back from here. @throws StoreUnavailable */
  readonly learn: Learn;
  /** Returns the first event of a new stream, as of this call. @throws StoreUnavailable */
  greeting(): Promise<string>;
  readonly streams: Streams;
  /** Has the lists signed with the keys that are current now, and those who listen fetch the keys. */
  keysChanged(): void;
  close(): Promise<void>;
}

export interface StatusParts extends Pick<SigningParts, 'sign'> {
  grants: Store;
  clock: Clock;
  random: Random;
  issuer: string;
  /** Time in seconds for which an API that relies on lists alone may accept a revoked token; at least 2. */
  ttl: number;
  /** The life of the longest access token, in seconds. */
  longest: number;
  reportFailure: (error: unknown) => void;
}

/** For how long a list takes new tokens, at most, in seconds. */
const OPEN_FOR = 900;
/** So many indexes in one event; of more, those who listen fetch the list. */
const MOST_TOLD = 1000;

/** Begins to follow the lists. @throws StoreUnavailable */
export async function openStatus(parts: StatusParts): Promise<TokenStatus> {
  const { clock, issuer, longest } = parts;
  const { uriOf } = listUris(issuer);
  const revoked = revoker(parts);
  const streams = new Streams(clock);
  const places = new Places({ ...parts, openFor: Math.min(longest, OPEN_FOR) });
  const ledger = new Ledger({ ...parts, places, uriOf });
  const signedLists = new SignedLists({ ...parts, uriOf });
  const lists = new FollowedLists({
    ...parts,
    onRevoked: (list, indexes) => streams.tell(revokedText(uriOf(list), indexes)),
    onVerified: () => streams.beat(),
    onLost: (list) => places.abandon(list),
  });
  await lists.open();
  return {
    isRevoked: (place) => revoked.isRevoked(place),
    assign: (token) => ledger.assign(token),
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
  return indexes.length > MOST_TOLD ? eventText('changed', { uri }) : eventText('revoked', { uri, idx: indexes });
}

function greeting(lists: readonly FollowedList[], uriOf: (list: FollowedList) => string): string {
  const within = TRUSTED_FOR / 1000;
  return eventText('lists', { within, lists: Object.fromEntries(lists.map((list) => [uriOf(list), contentOf(list)])) });
}

const contents = new WeakMap<FollowedList, { changes: number; content: number }>();

/** A number that stands for what a list says, the same on every node that knows the same. Anybody may ask for it, and often. */
function contentOf(list: FollowedList): number {
  const known = contents.get(list);
  if (known?.changes === list.changes) return known.content;
  const content = hash('sha256', list.bits, 'buffer').readUIntBE(0, 6);
  contents.set(list, { changes: list.changes, content });
  return content;
}
