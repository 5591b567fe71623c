import type { ServerResponse } from 'node:http';
import { deflateSync } from 'node:zlib';
import { now } from './timers.ts';

/** Number of tokens that a test issuer can issue. */
const PLACES = 8192;
/** The list's `ttl` in seconds. */
const TTL = 10;
/** Milliseconds between two `current` events of the stream. */
const BEAT = 500;

/** The one status list of a test issuer, and the event stream that announces its changes. */
export class TestStatus {
  readonly #uri: string;
  readonly #sign: (claims: Record<string, unknown>, typ: string) => Promise<string>;
  readonly #bytes = Buffer.alloc(PLACES / 8);
  readonly #listeners = new Set<ServerResponse>();
  readonly #timer: NodeJS.Timeout;
  #taken = 0;

  constructor(uri: string, sign: (claims: Record<string, unknown>, typ: string) => Promise<string>) {
    this.#uri = uri;
    this.#sign = sign;
    this.#timer = setInterval(() => this.#tell('current', {}), BEAT).unref();
  }

  /** Returns the `status` claim of the next token. */
  nextPlace(): { status_list: { uri: string; idx: number } } {
    if (this.#taken === PLACES) throw new Error(`A test issuer can make at most ${PLACES} tokens`);
    this.#taken += 1;
    return { status_list: { uri: this.#uri, idx: this.#taken - 1 } };
  }

  revoke(idx: number): void {
    const at = idx >> 3;
    this.#bytes[at] = (this.#bytes[at] ?? 0) | (1 << (idx & 7));
    this.#tell('revoked', { uri: this.#uri, idx: [idx] });
  }

  async giveList(response: ServerResponse): Promise<void> {
    const iat = Math.floor(now() / 1000);
    const status_list = { bits: 1, lst: deflateSync(this.#bytes).toString('base64url') };
    const token = await this.#sign({ sub: this.#uri, iat, exp: iat + 600, ttl: TTL, status_list }, 'statuslist+jwt');
    response.setHeader('Content-Type', 'application/statuslist+jwt').end(token);
  }

  giveStream(response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    this.#listeners.add(response);
    response.once('close', () => this.#listeners.delete(response));
    this.#tell('lists', { lists: { [this.#uri]: 1 } });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tell(event: string, data: object): void {
    for (const listener of this.#listeners) listener.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }
}
