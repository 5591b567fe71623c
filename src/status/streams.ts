import type { ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock.ts';

/** How many may listen at once: in all, and from one address block, behind which a whole cluster of APIs may be. */
const MOST = 2000;
const MOST_OF_ONE = 256;
/** What may wait for a reader, in bytes. Who does not read is dropped, and comes again. */
const MOST_WAITING = 64 * 1024;
/** The least time from one sign of life to the next, in milliseconds. */
const BEAT = 900;

/** Those who hear of every revocation as it becomes known here (server-sent events, WHATWG HTML §9.2). */
export class Streams {
  readonly #clock: Clock;
  readonly #readers = new Map<ServerResponse, string>();
  #beatAt = -Infinity;
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param from the address block of the reader. @returns whether there is room for one more */
  hasRoom(from: string): boolean {
    const ofOne = [...this.#readers.values()].filter((other) => other === from).length;
    return !this.#isClosed && this.#readers.size < MOST && ofOne < MOST_OF_ONE;
  }

  /** Has a reader listen from now on, beginning with `first`. */
  add(reader: ServerResponse, from: string, first: string): void {
    this.#readers.set(reader, from);
    reader.once('close', () => this.#readers.delete(reader));
    reader.on('error', () => reader.destroy());
    reader.write(first);
    if (this.#isClosed) reader.end();
  }

  tell(event: string): void {
    for (const reader of this.#readers.keys()) {
      reader.write(event);
      if (reader.writableLength > MOST_WAITING) reader.destroy();
    }
  }

  /** Says that all that is known here has just been compared with the store. */
  beat(): void {
    const now = this.#clock.now();
    if (Math.abs(now - this.#beatAt) < BEAT) return;
    this.#beatAt = now;
    this.tell(eventText('current', {}));
  }

  /** Ends every stream, so that a server that stops need not wait for them. */
  close(): void {
    this.#isClosed = true;
    for (const reader of this.#readers.keys()) reader.end();
  }
}

export function eventText(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
