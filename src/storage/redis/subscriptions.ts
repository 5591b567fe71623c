import { Cluster } from 'ioredis';
import { withTimeout } from './with-timeout.ts';
import type { Client } from './cluster-view.ts';

type Listener = (message: string) => void;

const PREFIX = 'latchkey:';

/** Notices by Redis PUBLISH and SUBSCRIBE, which a cluster forwards between its nodes. */
export class Subscriptions {
  readonly #client: Client;
  readonly #listeners = new Map<string, Set<Listener>>();
  #subscriber: Client | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  async publish(channel: string, message: string): Promise<void> {
    await withTimeout(this.#client.publish(PREFIX + channel, message));
  }

  async subscribe(channel: string, listener: Listener): Promise<() => Promise<void>> {
    const name = PREFIX + channel;
    // The wrapper makes a listener that is added twice count as two, each of which is removed separately.
    const own: Listener = (message) => {
      listener(message);
    };
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(own));
    this.#subscriber ??= this.#listen();
    await withTimeout(this.#subscriber.subscribe(name));
    return async () => {
      listeners.delete(own);
      if (listeners.size > 0 || this.#listeners.get(name) !== listeners) return;
      this.#listeners.delete(name);
      // Unsubscribing only saves traffic. Nobody is listening any more, so a failure has no consequence.
      await withTimeout(this.#subscriber?.unsubscribe(name) ?? Promise.resolve()).catch(() => undefined);
    };
  }

  stop(): void {
    this.#listeners.clear();
    if (this.#subscriber !== this.#client) this.#subscriber?.disconnect();
  }

  /**
   * Returns a client that subscribes again after each reconnect. A cluster client has its own connection for
   * subscriptions; a single client needs a second one.
   */
  #listen(): Client {
    const subscriber = this.#client instanceof Cluster ? this.#client : this.#client.duplicate();
    if (subscriber !== this.#client) subscriber.on('error', () => undefined);
    subscriber.on('message', (channel: string, message: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(message);
    });
    return subscriber;
  }
}
