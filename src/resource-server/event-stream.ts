import { get as httpGet } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { age, now } from './clock.ts';

export interface StreamEvent {
  readonly type: string;
  /** What its data says, as JSON. */
  readonly data: unknown;
}

export interface StreamListener {
  /** The type of the events that show that the stream is alive. */
  readonly beat: string;
  /** @throws for what it does not understand; the stream is given up then */
  onEvent(event: StreamEvent): void;
  onClose(): void;
}

/** Characters of one event. */
const MAX_EVENT = 2 ** 20;
/** Milliseconds without a beat. */
const SILENCE = 3000;

/**
 * Reads a stream of events (text/event-stream) until it ends, falls silent or makes no sense. Keeps no process alive.
 * @returns what ends it
 */
export function openEventStream(url: URL, listener: StreamListener): () => void {
  const get = url.protocol === 'https:' ? httpsGet : httpGet;
  const request = get(url, { agent: false, headers: { accept: 'text/event-stream', 'cache-control': 'no-cache' } });
  let heardAt = now();
  const watch = setInterval(() => {
    if (age(heardAt) > SILENCE) request.destroy();
  }, SILENCE / 6).unref();

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
  // Whatever went wrong, it is over, which `close` tells.
  request.on('error', () => undefined);
  request.on('close', () => {
    clearInterval(watch);
    listener.onClose();
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
