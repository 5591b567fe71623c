import { canOpenEventStreams, openEventStream } from './event-stream.ts';
import type { StreamEvent, StreamListener } from './event-stream.ts';
import type { StatusOptions } from './options.ts';
import { unref, type Timer } from './timers.ts';

/** Listener for the issuer's event stream. */
export interface StatusNews {
  /** The stream has begun. It does not repeat earlier events. */
  onStart(): void;
  onRevoked(uri: string, indexes: readonly number[]): void;
  /** The list has changed by more than the event names. */
  onChanged(uri: string): void;
  /** The issuer's keys have changed. */
  onKeys(): void;
  /** Everything up to now has been reported. */
  onCurrent(): void;
}

/** Milliseconds for which a silent issuer is trusted: the default, the least and the most. */
const TRUSTED_FOR = 3000;
const LEAST = 200;

/** Milliseconds before the stream is opened again after it failed: at first, and at most. */
const FIRST_PAUSE = 200;
const LONGEST_PAUSE = 30_000;

/** Follows the issuer's stream, and opens it again for as long as it is not closed. */
export class StatusEvents {
  readonly #find: () => Promise<URL | undefined>;
  readonly #news: StatusNews;
  readonly #authorization: string | undefined;
  #life = 0;
  #isLive = false;
  #trustedFor = Infinity;
  #pause = FIRST_PAUSE;
  #timer: Timer | undefined;
  #end: (() => void) | undefined;
  #isClosed = false;

  /**
   * @param find where the stream is, if the issuer has one
   * @param client the client that this API is
   */
  constructor(find: () => Promise<URL | undefined>, news: StatusNews, client?: StatusOptions['client']) {
    this.#find = find;
    this.#news = news;
    this.#authorization = client && basic(client);
  }

  /** Numbers the lives of the stream from 1; 0 while there is none. */
  get life(): number {
    return this.#isLive ? this.#life : 0;
  }

  /**
   * Milliseconds for which the issuer's last message is trusted while it is silent. Without a stream, the lists' own
   * lifetimes apply.
   */
  get trustedFor(): number {
    return this.#trustedFor;
  }

  open(): void {
    if (!canOpenEventStreams()) return;
    this.#find().then(
      (url) => {
        if (url !== undefined && !this.#isClosed) this.#follow(url);
      },
      () => this.#openLater(),
    );
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#end?.();
  }

  #follow(url: URL): void {
    const listener: StreamListener = {
      beat: 'current',
      onEvent: (event) => this.#tell(event),
      onClose: (wasSilent) => {
        // Silence does not mean that the issuer has no stream.
        if (!this.#isLive && !wasSilent) this.#trustedFor = Infinity;
        this.#isLive = false;
        this.#openLater();
      },
    };
    this.#end = openEventStream(url, listener, this.#authorization);
  }

  #openLater(): void {
    if (this.#isClosed) return;
    // Spreads the reconnects of many APIs after a restart of the server.
    const [part = 0] = crypto.getRandomValues(new Uint8Array(1));
    this.#timer = unref(setTimeout(() => this.open(), this.#pause * (0.5 + part / 512)));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  /** @throws for a malformed event, whose sender cannot be trusted */
  #tell({ type, data }: StreamEvent): void {
    switch (type) {
      case 'lists':
        this.#life += 1;
        this.#isLive = true;
        this.#trustedFor = trustedFor(data);
        return this.#news.onStart();
      case 'revoked':
        return this.#news.onRevoked(uriOf(data), indexesOf(data));
      case 'changed':
        return this.#news.onChanged(uriOf(data));
      case 'keys':
        return this.#news.onKeys();
      case 'current':
        this.#pause = FIRST_PAUSE;
        return this.#news.onCurrent();
      default:
    }
  }
}

/** RFC 6749 §2.3.1. */
function basic({ id, secret }: NonNullable<StatusOptions['client']>): string {
  const encoded = [id, secret].map((part) => encodeURIComponent(part)).join(':');
  return `Basic ${btoa(encoded)}`;
}

function trustedFor(data: unknown): number {
  const within: unknown = typeof data === 'object' && data !== null && 'within' in data ? data.within : undefined;
  return typeof within === 'number' ? Math.min(Math.max(within * 1000, LEAST), TRUSTED_FOR) : TRUSTED_FOR;
}

function uriOf(data: unknown): string {
  if (typeof data === 'object' && data !== null && 'uri' in data && typeof data.uri === 'string') return data.uri;
  throw new Error('The event names no list');
}

function indexesOf(data: unknown): number[] {
  const indexes: unknown = typeof data === 'object' && data !== null && 'idx' in data ? data.idx : undefined;
  if (Array.isArray(indexes) && indexes.every(isIndex)) return indexes;
  throw new Error('The event names no indexes');
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
