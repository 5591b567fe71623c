import type { IncomingMessage } from 'node:http';
import type { StatusOptions } from './options.ts';
import { unref, type Timer, age, now } from './timers.ts';

/** Listener for the issuer's event stream. */
export interface StatusNews {
  /** The stream has begun. It does not repeat earlier events. */
  onStart(): void;
  onRevoked(uri: string, indexes: readonly number[]): void;
  /** The list has changed, but the event does not name the revoked indexes. */
  onChanged(uri: string): void;
  /** The issuer's keys have changed. */
  onKeys(): void;
  /** The issuer has reported every revocation up to now. */
  onCurrent(): void;
}

/** Longest time in milliseconds for which a silent stream is trusted. It is also the default. */
const TRUSTED_FOR = 3000;

/** Shortest time in milliseconds for which a silent stream is trusted. */
const LEAST = 200;

/** Milliseconds before the first attempt to reopen a failed stream. Each further attempt doubles the pause. */
const FIRST_PAUSE = 200;

/** Longest pause between two attempts in milliseconds. */
const LONGEST_PAUSE = 30_000;

/** Follows the issuer's event stream, and reopens it until `close` is called. */
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
   * @param find returns the stream's URL, if the issuer has a stream
   * @param client credentials of this API at the issuer
   */
  constructor(find: () => Promise<URL | undefined>, news: StatusNews, client?: StatusOptions['client']) {
    this.#find = find;
    this.#news = news;
    this.#authorization = client && basic(client);
  }

  /** Returns the number of the current connection, counted from 1, or 0 if there is none. */
  get life(): number {
    return this.#isLive ? this.#life : 0;
  }

  /**
   * Returns the milliseconds for which a silent stream is trusted. It is infinite without a stream, so that the lists'
   * own lifetimes apply.
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
        // A stream that the issuer refused counts as missing. A silent one may come from a node that hangs.
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

  /** Reports an event to the listener. @throws Error if the event is malformed, because its sender cannot be trusted */
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

/** Encodes client credentials for the Authorization header (RFC 6749 §2.3.1). */
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

interface StreamEvent {
  readonly type: string;
  /** The event's data, parsed from JSON. */
  readonly data: unknown;
}

interface StreamListener {
  /** Type of the events that count as signs of life. */
  readonly beat: string;
  /** Handles an event. The stream is closed if this throws. */
  onEvent(event: StreamEvent): void;
  /** @param wasSilent whether the stream was closed because no sign of life arrived */
  onClose(wasSilent: boolean): void;
}

/** Longest accepted event in characters. */
const MAX_EVENT = 2 ** 20;

/** Milliseconds without a beat after which the stream is closed. */
const SILENCE = 3000;

/**
 * Tells whether the runtime has `node:http`, which can keep a connection open without keeping the process alive. Edge
 * runtimes lack it.
 */
function canOpenEventStreams(): boolean {
  const runtime = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  return runtime.process?.getBuiltinModule?.('node:http') !== undefined;
}

/**
 * Reads an event stream (text/event-stream) until it ends, falls silent or becomes unreadable. The connection does not
 * keep the process alive.
 * @param authorization value of the Authorization header, if any
 * @returns a function that closes the stream
 */
function openEventStream(url: URL, listener: StreamListener, authorization?: string): () => void {
  const { get } = process.getBuiltinModule(url.protocol === 'https:' ? 'node:https' : 'node:http');
  const headers = { accept: 'text/event-stream', 'cache-control': 'no-cache', ...(authorization && { authorization }) };
  const request = get(url, { agent: false, headers });
  let heardAt = now();
  let wasSilent = false;
  const watch = setInterval(() => {
    if (age(heardAt) <= SILENCE) return;
    wasSilent = true;
    request.destroy();
  }, SILENCE / 6);
  unref(watch);

  request.on('socket', (socket) => socket.unref());
  request.on('response', (response) => {
    if (response.statusCode !== 200 || !isEventStream(response)) {
      request.destroy();
      return;
    }
    const parse = eventParser((event) => {
      if (event.type === listener.beat) heardAt = now();
      listener.onEvent(event);
    });
    response.setEncoding('utf8').on('data', (text: string) => {
      try {
        parse(text);
      } catch {
        request.destroy();
      }
    });
    response.on('error', () => request.destroy());
  });
  // `close` follows every error, and reports the end of the stream.
  request.on('error', () => undefined);
  request.on('close', () => {
    clearInterval(watch);
    listener.onClose(wasSilent);
  });
  return () => request.destroy();
}

function isEventStream(response: IncomingMessage): boolean {
  return /^text\/event-stream *(?:;|$)/i.test(response.headers['content-type'] ?? '');
}

/**
 * Parses the part of the format that the issuer uses: `event` and `data`, one line each.
 * @throws Error if an event is too large, or its data is not JSON
 */
function eventParser(onEvent: (event: StreamEvent) => void): (text: string) => void {
  let rest = '';
  let type = '';
  let data = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length + data.length > MAX_EVENT) throw new Error('An event is too large');
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line.startsWith('event:')) type = line.slice(6).trim();
      else if (line.startsWith('data:')) data += line.slice(5).trim();
      else if (line === '') {
        if (data !== '') onEvent({ type, data: JSON.parse(data) as unknown });
        type = data = '';
      }
    }
  };
}
