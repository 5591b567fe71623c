import type { IncomingMessage } from 'node:http';
import type { StatusOptions } from './options.ts';
import { unref, type Timer, age, now } from './timers.ts';

/** Listener for the issuer's event stream. */
export interface StatusNews {
  /** The stream has begun. It does not repeat earlier events. */
  onStart(): void;
  onRevoked(uri: string, indexes: readonly number[]): void;
  /** The list has changed, and the event does not name all changes. */
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

  /** @param find returns the stream's URL, if the issuer has a stream @param client this API's client at the issuer */
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

interface StreamEvent {
  readonly type: string;
  /** The event's data, parsed from JSON. */
  readonly data: unknown;
}

interface StreamListener {
  /** Type of the events that keep the stream alive. */
  readonly beat: string;
  /** @throws for an event that it does not understand; the stream is then closed */
  onEvent(event: StreamEvent): void;
  /** @param wasSilent whether it was closed because nothing arrived */
  onClose(wasSilent: boolean): void;
}

/** Most characters of one event. */
const MAX_EVENT = 2 ** 20;

/** Milliseconds without a beat after which the stream is closed. */
const SILENCE = 3000;

/**
 * Tells whether the runtime has `node:http`, whose connections need not keep the process alive; edge runtimes have
 * none.
 */
function canOpenEventStreams(): boolean {
  const runtime = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  return runtime.process?.getBuiltinModule?.('node:http') !== undefined;
}

/**
 * Reads an event stream (text/event-stream) until it ends, falls silent or becomes unreadable. It does not keep the
 * process alive. @param authorization value of that header, if any @returns a function that closes it
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
  // Any error ends the stream; `close` reports that.
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

/** Parses what of the format is used here: `event` and `data`, one line each. @throws */
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
