import { Cluster, type Redis } from 'ioredis';
import { StoreUnavailable } from '../store.ts';
import { withTimeout } from './with-timeout.ts';
import { mastersOf, type Client, deposedMasters } from './cluster-view.ts';
import type { Sentinels } from './sentinels.ts';

/** Milliseconds between two checks. A check asks each server for its role, and the Sentinels for the primary. */
const PERIOD = 1000;
/** Milliseconds for which an answer is trusted, and so the longest time for which a deposed primary is used. */
const TRUSTED_FOR = 3000;
/** Milliseconds after a failed check during which requests fail without another check. */
const PAUSE = 100;
/**
 * Milliseconds for which a replica that has vanished still counts as required. If there are Sentinels, their answers
 * decide instead.
 */
const MISSING_COUNTED_FOR = 60_000;

/**
 * Watches whether the servers in use are primaries. It asks them, and the Sentinels or the cluster. A reply counts only
 * if the primary was confirmed within the last few seconds.
 */
export class PrimaryWatch {
  readonly #clients: readonly Client[];
  readonly #sentinels: Sentinels | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #replicas = new WeakMap<Redis, { count: number; at: number }>();
  #confirmedAt = -Infinity;
  #refusal: { error: unknown; at: number } | undefined;
  #checking: Promise<void> | undefined;

  constructor(clients: readonly Client[], sentinels: Sentinels | undefined) {
    this.#clients = clients;
    this.#sentinels = sentinels;
    this.#timer = setInterval(() => void this.#check().catch(() => undefined), PERIOD).unref();
  }

  /** Waits for a reply, and returns it if it came from a primary. @throws StoreUnavailable */
  readonly confirmed = async <T>(reply: Promise<T>): Promise<T> => {
    const answer = await withTimeout(reply);
    if (performance.now() - this.#confirmedAt > TRUSTED_FOR) await this.confirm();
    return answer;
  };

  /** Checks the servers now. @throws StoreUnavailable if one is not a primary, or the check gets no answer */
  async confirm(): Promise<void> {
    const { at, error } = this.#refusal ?? { at: -Infinity, error: undefined };
    if (performance.now() - at < PAUSE) throw error;
    await this.#check();
  }

  /** Returns the number of replicas that must have a write before it is safe. */
  neededReplicas(primary: Redis): number {
    if (this.#sentinels !== undefined) return this.#sentinels.neededReplicas;
    return Math.max(1, this.#replicas.get(primary)?.count ?? 1);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #check(): Promise<void> {
    this.#checking ??= this.#ask().finally(() => (this.#checking = undefined));
    return this.#checking;
  }

  async #ask(): Promise<void> {
    const startedAt = performance.now();
    try {
      await Promise.all([this.#sentinels?.primary(), ...this.#clients.map((client) => this.#askClient(client))]);
      this.#confirmedAt = startedAt;
      this.#refusal = undefined;
    } catch (error) {
      this.#confirmedAt = -Infinity;
      this.#refusal = { error, at: performance.now() };
      throw error;
    }
  }

  async #askClient(client: Client): Promise<void> {
    if (!(client instanceof Cluster)) return this.#askRole(client);
    // A server that does not answer acknowledges nothing, so it does no harm. The other servers continue.
    await Promise.all(mastersOf(client).map((master) => this.#askRole(master).catch(rethrowNoPrimary)));
    const deposed = await deposedMasters(client.nodes('all'));
    if (deposed.length === 0) return;
    client.refreshSlotsCache();
    throw new StoreUnavailable(`Redis: the cluster has replaced ${deposed.join(', ')}`);
  }

  async #askRole(server: Redis): Promise<void> {
    const [role, , replicas] = await withTimeout(server.role());
    if (role !== 'master') {
      // A new connection may lead to the primary.
      server.disconnect(true);
      throw new NoPrimary(`Redis: the server is a replica (its role is ${String(role)})`);
    }
    const count = Array.isArray(replicas) ? replicas.length : 0;
    const known = this.#replicas.get(server);
    const now = performance.now();
    if (known === undefined || count >= known.count || now - known.at > MISSING_COUNTED_FOR) {
      this.#replicas.set(server, { count, at: now });
    }
  }
}

/** Thrown if a server itself reports that it is not a primary. */
class NoPrimary extends StoreUnavailable {}

function rethrowNoPrimary(error: unknown): void {
  if (error instanceof NoPrimary) throw error;
}
