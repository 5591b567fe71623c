import type { IncomingMessage } from 'node:http';
import { age, now } from './clock.ts';
import { unref } from './timers.ts';

export interface StreamEvent {
  readonly type: string;
  /** The event's data, parsed from JSON. */
  readonly data: unknown;
}

export interface StreamListener {
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
export function canOpenEventStreams(): boolean {
  const runtime = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  return runtime.process?.getBuiltinModule?.('node:http') !== undefined;
}

/**
 * Reads an event stream (text/event-stream) until it ends, falls silent or becomes unreadable. It does not keep the
 * process alive. @param authorization value of that header, if any @returns a function that closes it
 */
export function openEventStream(url: URL, listener: StreamListener, authorization?: string): () => void {
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
