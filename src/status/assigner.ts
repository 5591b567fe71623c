import type { Clock } from '../lib/clock.ts';
import type { Store } from '../storage/store.ts';
import { enterClient, indexesOf, issuedName, type NewToken } from './token-indexes.ts';
import { LEEWAY, type ListUris, type StatusReference } from './lists.ts';
import type { IndexAllocator } from './index-allocator.ts';

interface AssignerDependencies {
  grants: Store;
  clock: Clock;
  allocator: IndexAllocator;
  uriOf: ListUris['uriOf'];
  /** The longest access token lifetime, in seconds. */
  longest: number;
}

/**
 * A token's status reference, and the pending writes of its index entries. The token must not be sent before they
 * succeed.
 */
export interface Assigned {
  reference: StatusReference;
  /** Resolves once the entries are written. Rejects with StoreUnavailable. */
  entered: Promise<unknown>;
}

/** Time in milliseconds for which this node remembers that it has entered a client. */
const CLIENT_REMEMBERED_FOR = 3_600_000;

/** Assigns status indexes and enters tokens into the indexes by which a revocation finds them. */
export class StatusAssigner {
  readonly #dependencies: AssignerDependencies;
  #clients = new Set<string>();
  #since = -Infinity;

  constructor(dependencies: AssignerDependencies) {
    this.#dependencies = dependencies;
  }

  async assign(token: NewToken): Promise<Assigned> {
    const { grants, clock, allocator, uriOf } = this.#dependencies;
    const expiresAt = token.expiresAt * 1000;
    const { list, idx } = allocator.takeFromHeldBlock(expiresAt) ?? (await allocator.take(expiresAt));
    const member = issuedName({ list: list.id, idx, startedAt: token.startedAt });
    const ttl = Math.max(1, (expiresAt + LEEWAY - clock.now()) / 1000);
    const entries = indexesOf(token).map((index) => grants.enlist(index, member, ttl));
    if (!this.#hasEntered(token.clientId)) entries.push(this.#enterClient(token.clientId));
    return { reference: { idx, uri: uriOf(list) }, entered: Promise.all(entries) };
  }

  #hasEntered(clientId: string): boolean {
    const now = this.#dependencies.clock.now();
    if (Math.abs(now - this.#since) >= CLIENT_REMEMBERED_FOR) [this.#since, this.#clients] = [now, new Set()];
    return this.#clients.has(clientId);
  }

  async #enterClient(clientId: string): Promise<void> {
    const { grants, longest } = this.#dependencies;
    await enterClient(grants, clientId, CLIENT_REMEMBERED_FOR / 1000 + longest + LEEWAY / 1000);
    this.#clients.add(clientId);
  }
}
