import { openEventStream } from './event-stream.ts';
import type { StreamEvent } from './event-stream.ts';

/** What the issuer's stream of events tells. */
export interface StatusNews {
  /** The stream has begun: what happened before it is not told. */
  onStart(): void;
  onRevoked(uri: string, indexes: readonly number[]): void;
  /** The list has changed by more than is told. */
  onChanged(uri: string): void;
  /** The issuer publishes other keys. */
  onKeys(): void;
  /** Everything up to now has been told. */
  onCurrent(): void;
}

/** Milliseconds before the stream is opened again after it failed: at first, and at most. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;

/** Follows the issuer's stream, and opens it again for as long as it is not closed. */
export class StatusEvents {
  readonly #find: () => Promise<URL | undefined>;
  readonly #news: StatusNews;
  #life = 0;
  #isLive = false;
  #pause = FIRST_PAUSE;
  #timer: NodeJS.Timeout | undefined;
  #end: (() => void) | undefined;
  #isClosed = false;

  /** @param find where the stream is, if the issuer has one */
  constructor(find: () => Promise<URL | undefined>, news: StatusNews) {
    this.#find = find;
    this.#news = news;
  }

  /** Numbers the lives of the stream from 1; 0 while there is none. */
  get life(): number {
    return this.#isLive ? this.#life : 0;
  }

  open(): void {
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
    this.#end = openEventStream(url, {
      beat: 'current',
      onEvent: (event) => this.#tell(event),
      onClose: () => {
        this.#isLive = false;
        this.#openLater();
      },
    });
  }

  #openLater(): void {
    if (this.#isClosed) return;
    // Not all APIs of a server that was restarted come back in the same moment.
    const [part = 0] = crypto.getRandomValues(new Uint8Array(1));
    this.#timer = setTimeout(() => this.open(), this.#pause * (0.5 + part / 512)).unref();
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  /** @throws for an event that is malformed: who sends such cannot be relied on */
  #tell({ type, data }: StreamEvent): void {
    switch (type) {
      case 'lists':
        this.#life += 1;
        this.#isLive = true;
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

function uriOf(data: unknown): string {
  if (typeof data === 'object' && data !== null && 'uri' in data && typeof data.uri === 'string') return data.uri;
  throw new Error('The event names no list');
}

function indexesOf(data: unknown): number[] {
  const indexes: unknown = typeof data === 'object' && data !== null && 'idx' in data ? data.idx : undefined;
  if (Array.isArray(indexes) && indexes.every(isIndex)) return indexes;
  throw new Error('The event names no places');
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
