import type { ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock.ts';

/** Limits of open streams: of all callers, and of anonymous ones. Half are reserved for authenticated clients. */
const MAX_STREAMS = 2000;
const MAX_ANONYMOUS = 1000;
/** Maximum number of streams of one client. Each process of a cluster of APIs may hold one. */
const MAX_PER_CLIENT = 256;
/** Maximum number of anonymous streams of one address block: an IPv4 address or an IPv6 /64, a /56, and a /48. */
const MAX_PER_BLOCK = [32, 64, 128];
/** Maximum number of bytes that may wait for a reader. A slower reader is disconnected and has to reconnect. */
const MAX_WAITING = 64 * 1024;
/** Shortest time between two `current` events, in milliseconds. */
const BEAT = 250;
/** Milliseconds without a `current` event after which APIs must not trust the stream: the node may hang. */
export const TRUSTED_FOR = 700;

interface Listener {
  /** The address blocks of the caller, narrowest first. */
  readonly blocks: readonly string[];
  /** The authenticated client, if any. */
  readonly client?: string | undefined;
}

/** The open event streams. Every reader gets each revocation at once (server-sent events, WHATWG HTML §9.2). */
export class Streams {
  readonly #clock: Clock;
  readonly #readers = new Map<ServerResponse, Listener>();
  #beatAt = -Infinity;
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns whether one more stream may be opened */
  hasRoom({ blocks, client }: Listener): boolean {
    if (this.#isClosed || this.#readers.size >= MAX_STREAMS) return false;
    if (client !== undefined) return this.#count((other) => other.client === client) < MAX_PER_CLIENT;
    const isAnonymous = (other: Listener) => other.client === undefined;
    return (
      this.#count(isAnonymous) < MAX_ANONYMOUS &&
      blocks.every((block, index) => {
        const held = this.#count((other) => isAnonymous(other) && other.blocks[index] === block);
        return held < (MAX_PER_BLOCK[index] ?? 0);
      })
    );
  }

  /** Adds a reader, and sends it the event `first`. A reader that has already disconnected takes no slot. */
  add(reader: ServerResponse, from: Listener, first: string): void {
    // `close` was emitted before, so nothing would free the slot.
    if (reader.destroyed) return;
    this.#readers.set(reader, from);
    reader.once('close', () => this.#readers.delete(reader));
    reader.on('error', () => reader.destroy());
    reader.write(first);
    if (this.#isClosed) reader.end();
  }

  tell(event: string): void {
    for (const reader of this.#readers.keys()) {
      reader.write(event);
      if (reader.writableLength > MAX_WAITING) reader.destroy();
    }
  }

  /** Sends the event `current`: this node's lists have just been compared with the store. */
  beat(): void {
    const now = this.#clock.now();
    if (Math.abs(now - this.#beatAt) < BEAT) return;
    this.#beatAt = now;
    this.tell(eventText('current', {}));
  }

  /** Ends all streams, so that a shutdown need not wait for them. */
  close(): void {
    this.#isClosed = true;
    for (const reader of this.#readers.keys()) reader.end();
  }

  #count(matches: (listener: Listener) => boolean): number {
    return [...this.#readers.values()].filter(matches).length;
  }
}

export function eventText(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
