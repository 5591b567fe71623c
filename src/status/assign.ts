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

/** How long this node takes a client that it has entered for entered, in milliseconds. */
const KNOWN = 3_600_000;

/** Enters tokens under all that they are found by. */
export class Ledger {
  readonly #parts: LedgerParts;
  #clients = new Set<string>();
  #since = -Infinity;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
  }

  async assign(token: NewToken): Promise<Place> {
    const { grants, clock, places, uriOf } = this.#parts;
    const expiresAt = token.expiresAt * 1000;
    const { list, idx } = await places.take(expiresAt);
    const member = issuedName({ list: list.id, idx, startedAt: token.startedAt });
    const ttl = Math.max(1, (expiresAt + LEEWAY - clock.now()) / 1000);
    await Promise.all([
      ...indexesOf(token).map((index) => grants.enlist(index, member, ttl)),
      this.#enterClient(token.clientId),
    ]);
    return { idx, uri: uriOf(list) };
  }

  async #enterClient(clientId: string): Promise<void> {
    const { grants, clock, longest } = this.#parts;
    if (Math.abs(clock.now() - this.#since) >= KNOWN) {
      this.#since = clock.now();
      this.#clients = new Set();
    }
    if (this.#clients.has(clientId)) return;
    await enterClient(grants, clientId, KNOWN / 1000 + longest + LEEWAY / 1000);
    this.#clients.add(clientId);
  }
}
