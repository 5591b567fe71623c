import type { Client, Notification } from 'pg';
import type { PostgresUrl } from '../../config/store-url.ts';
import { StoreUnavailable } from '../store.ts';
import { portError } from './errors.ts';
import { connected, connectionOptions } from './connection.ts';

type Listener = (message: string) => void;

/** Milliseconds between two attempts to reconnect: the first pause and the longest one. */
const FIRST_RETRY = 50;
const LAST_RETRY = 1000;
/** Milliseconds between two checks that the server still delivers notices. */
const PERIOD = 5000;
/** Maximum length of a notice in bytes. PostgreSQL's own limit is 8000. */
export const LONGEST_NOTICE = 7900;

/**
 * Notices by LISTEN, on a separate connection, because a pooler must not share it. The first listener opens the
 * connection. It is reopened when it breaks or its server stops answering. Notices that are sent in between are lost.
 */
export class Notices {
  readonly #url: PostgresUrl;
  readonly #channel: string;
  readonly #listeners = new Map<string, Set<Listener>>();
  #client: Client | undefined;
  #opening: Promise<Client> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retry = FIRST_RETRY;
  #isStopped = false;

  constructor(url: PostgresUrl) {
    this.#url = url;
    this.#channel = `latchkey:${url.schema}`;
  }

  /** Returns the arguments of `pg_notify`. All notices share one channel, because a channel's name must be short. */
  arguments(channel: string, message: string): [channel: string, payload: string] {
    return [this.#channel, JSON.stringify([channel, message])];
  }

  async subscribe(channel: string, listener: Listener): Promise<() => Promise<void>> {
    // The wrapper makes a listener that is added twice count as two, each of which is removed separately.
    const own: Listener = (message) => {
      listener(message);
    };
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(own));
    try {
      await this.#open();
    } catch (error) {
      this.#reconnectLater();
      throw portError(error);
    }
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#listeners.get(channel) === listeners) this.#listeners.delete(channel);
      return Promise.resolve();
    };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#listeners.clear();
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  #open(): Promise<Client> {
    if (this.#client !== undefined) return Promise.resolve(this.#client);
    this.#opening ??= this.#connect().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  async #connect(): Promise<Client> {
    const { direct, nodes } = this.#url;
    let failure: unknown = new StoreUnavailable('PostgreSQL: no server takes notices');
    for (const node of direct.length > 0 ? direct : nodes) {
      let client: Client | undefined;
      try {
        client = await connected(connectionOptions(this.#url, node), (notification) => {
          this.#dispatch(notification);
        });
        // A replica refuses this statement.
        await client.query(`LISTEN "${this.#channel}"`);
        if (this.#isStopped) throw new StoreUnavailable('PostgreSQL: the store is closed');
        this.#adopt(client);
        return client;
      } catch (error) {
        failure = error;
        void client?.end().catch(() => undefined);
      }
    }
    throw failure;
  }

  #adopt(client: Client): void {
    this.#client = client;
    this.#retry = FIRST_RETRY;
    client.once('end', () => {
      if (this.#client !== client) return;
      this.#client = undefined;
      this.#reconnectLater();
    });
    this.#probeLater(client);
  }

  /** Checks the connection every few seconds, because a server that stops answering does not end it. */
  #probeLater(client: Client): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      client.query('SELECT 1').then(
        () => {
          if (this.#client === client) this.#probeLater(client);
        },
        () => void client.end().catch(() => undefined),
      );
    }, PERIOD).unref();
  }

  #reconnectLater(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#open().catch(() => {
        this.#reconnectLater();
      });
    }, this.#retry).unref();
    this.#retry = Math.min(this.#retry * 2, LAST_RETRY);
  }

  #dispatch({ channel, payload = '' }: Notification): void {
    if (channel !== this.#channel) return;
    let parsed: unknown;
    try {
      parsed = JSON.parse(payload);
    } catch {
      return; // Another user of this database sent it.
    }
    // Any role that may connect to the database can send one, and an error here would end the process.
    const members: unknown[] = Array.isArray(parsed) ? parsed : [];
    const [name, message] = members;
    if (typeof name !== 'string' || typeof message !== 'string') return;
    for (const listener of this.#listeners.get(name) ?? []) listener(message);
  }
}
