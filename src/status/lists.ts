import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { keyspace, type Key } from '../storage/store.ts';

/** A published list of bits, one for each token that has a place in it; 1 is "taken back". */
export interface StatusList {
  readonly id: string;
  /** Time at which the last of its tokens expires, in milliseconds since the epoch. */
  readonly endsAt: number;
}

/** The stored record of a list. Its version grows after each change of the bits. */
export interface ListRecord {
  /** True once bits were set. If there are none then, the store has lost them. */
  hasBits: boolean;
  /** In milliseconds since the epoch. In a store that lost the list, versions begin again and may come to the same number. */
  writtenAt?: number;
}

/** An access token's list and index in it (draft-ietf-oauth-status-list-20 §6.2). */
export interface Place {
  idx: number;
  uri: string;
}

/** Indexes in a list. All lists have this length from the start, so that none reveals the number of tokens. */
export const CAPACITY = 2 ** 20;

/** A token is known for so long after it expired, in milliseconds, since the clocks of APIs differ. */
export const LEEWAY = 60_000;

export const listKey: (id: string) => Key<ListRecord> = keyspace<ListRecord>('status-list');

const ID = /^([0-9a-z]{6,8})-([\w-]{8})$/;

/** Its name says when it ends, so that nobody need look it up, or can lose it. */
export function newList(endsAt: number, random: Random): StatusList {
  const seconds = Math.ceil(endsAt / 1000);
  return { id: `${seconds.toString(36)}-${random.bytes(6).toString('base64url')}`, endsAt: seconds * 1000 };
}

/** @returns `undefined` for what is no list's name */
export function listNamed(id: string): StatusList | undefined {
  const seconds = ID.exec(id)?.[1];
  return seconds === undefined ? undefined : { id, endsAt: Number.parseInt(seconds, 36) * 1000 };
}

export function isLive({ endsAt }: StatusList, clock: Clock): boolean {
  return clock.now() < endsAt;
}

/** For how many seconds the store has to keep what belongs to a list. */
export function lifeOf({ endsAt }: StatusList, clock: Clock): number {
  return Math.max(1, Math.ceil((endsAt - clock.now()) / 1000));
}

/** Converts between lists and their published URIs. */
export interface ListUris {
  uriOf: (list: Pick<StatusList, 'id'>) => string;
  /** @returns `undefined` for a place that no list of this server can have */
  placeIn: (place: Place) => { list: StatusList; idx: number } | undefined;
}

export function listUris(issuer: string): ListUris {
  const start = `${issuer}/status/`;
  return {
    uriOf: ({ id }) => start + id,
    placeIn({ uri, idx }) {
      const list = uri.startsWith(start) ? listNamed(uri.slice(start.length)) : undefined;
      const isIndex = Number.isInteger(idx) && idx >= 0 && idx < CAPACITY;
      return list !== undefined && isIndex ? { list, idx } : undefined;
    },
  };
}
