import type { Clock } from '../lib/clock.ts';
import type { Store } from '../storage/store.ts';
import { enterClient, indexesOf, issuedName, type NewToken } from './ledger.ts';
import { LEEWAY, type ListUris, type Place } from './lists.ts';
import type { Places } from './places.ts';

interface LedgerParts {
  grants: Store;
  clock: Clock;
  places: Places;
  uriOf: ListUris['uriOf'];
  /** The life of the longest access token, in seconds. */
  longest: number;
}

/** A token's place, and when it can be found by what it belongs to. It must not be handed out before. */
export interface Assigned {
  place: Place;
  /** Rejects with StoreUnavailable. */
  entered: Promise<unknown>;
}

/** Time in milliseconds for which this node remembers that it has entered a client. */
const KNOWN = 3_600_000;

/** Enters tokens under all that they are found by. */
export class Ledger {
  readonly #parts: LedgerParts;
  #clients = new Set<string>();
  #since = -Infinity;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
  }

  async assign(token: NewToken): Promise<Assigned> {
    const { grants, clock, places, uriOf } = this.#parts;
    const expiresAt = token.expiresAt * 1000;
    const { list, idx } = places.takeAtHand(expiresAt) ?? (await places.take(expiresAt));
    const member = issuedName({ list: list.id, idx, startedAt: token.startedAt });
    const ttl = Math.max(1, (expiresAt + LEEWAY - clock.now()) / 1000);
    const entries = indexesOf(token).map((index) => grants.enlist(index, member, ttl));
    if (!this.#hasEntered(token.clientId)) entries.push(this.#enterClient(token.clientId));
    return { place: { idx, uri: uriOf(list) }, entered: Promise.all(entries) };
  }

  #hasEntered(clientId: string): boolean {
    const now = this.#parts.clock.now();
    if (Math.abs(now - this.#since) >= KNOWN) [this.#since, this.#clients] = [now, new Set()];
    return this.#clients.has(clientId);
  }

  async #enterClient(clientId: string): Promise<void> {
    const { grants, longest } = this.#parts;
    await enterClient(grants, clientId, KNOWN / 1000 + longest + LEEWAY / 1000);
    this.#clients.add(clientId);
  }
}
