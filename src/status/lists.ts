import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { keyspace, type Key } from '../storage/store.ts';

/** A published list of bits, one for each index; 1 means that the token is revoked. */
export interface StatusList {
  readonly id: string;
  /** Time at which the last of its tokens expires, in milliseconds since the epoch. */
  readonly endsAt: number;
}

/** The stored record of a list. Its version grows after each change of the bits. */
export interface ListRecord {
  /** True once bits were set. If the store then has no bits, it has lost them. */
  hasBits: boolean;
  /**
   * Time of the write in milliseconds since the epoch. Versions start again after the store has lost the list; this
   * time tells equal versions apart.
   */
  writtenAt?: number;
}

/** An access token's list and index in it (draft-ietf-oauth-status-list-20 §6.2). */
export interface StatusReference {
  idx: number;
  uri: string;
}

/**
 * Number of indexes in a list. All lists have this length from the start, so that none reveals the number of tokens.
 */
export const CAPACITY = 2 ** 20;

/** Time in milliseconds for which an expired token is still listed, because the clocks of APIs differ. */
export const LEEWAY = 60_000;

export const listKey: (id: string) => Key<ListRecord> = keyspace<ListRecord>('status-list');

const ID = /^([0-9a-z]{6,8})-([\w-]{8})$/;

/** Creates a list. Its id contains the time at which it ends, so that the time needs no look-up and cannot be lost. */
export function newList(endsAt: number, random: Random): StatusList {
  const seconds = Math.ceil(endsAt / 1000);
  return { id: `${seconds.toString(36)}-${random.bytes(6).toString('base64url')}`, endsAt: seconds * 1000 };
}

/** Parses the id of a list. @returns `undefined` if it is malformed */
export function listNamed(id: string): StatusList | undefined {
  const seconds = ID.exec(id)?.[1];
  return seconds === undefined ? undefined : { id, endsAt: Number.parseInt(seconds, 36) * 1000 };
}

export function isLive({ endsAt }: StatusList, clock: Clock): boolean {
  return clock.now() < endsAt;
}

/** Returns the time for which the store must keep a list's records, in seconds. */
export function lifeOf({ endsAt }: StatusList, clock: Clock): number {
  return Math.max(1, Math.ceil((endsAt - clock.now()) / 1000));
}

/** Converts between lists and their published URIs. */
export interface ListUris {
  uriOf: (list: Pick<StatusList, 'id'>) => string;
  /** @returns `undefined` if no list of this server can have this URI and index */
  listOf: (reference: StatusReference) => { list: StatusList; idx: number } | undefined;
}

export function listUris(issuer: string): ListUris {
  const start = `${issuer}/status/`;
  return {
    uriOf: ({ id }) => start + id,
    listOf({ uri, idx }) {
      const list = uri.startsWith(start) ? listNamed(uri.slice(start.length)) : undefined;
      const isIndex = Number.isInteger(idx) && idx >= 0 && idx < CAPACITY;
      return list !== undefined && isIndex ? { list, idx } : undefined;
    },
  };
}
