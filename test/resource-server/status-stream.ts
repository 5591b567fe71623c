import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { until } from '../support/until.ts';
import type { Issuer } from './issuer.ts';

/** The issuer's stream of events, told by tests. */
export interface StatusStream {
  /** Those who listen now. */
  readonly listeners: Set<ServerResponse>;
  /** How often it has been opened. */
  readonly opened: number;
  /** When set, it answers so instead. */
  instead: RequestListener | undefined;
  tell(event: string, data: unknown): void;
  /** Ends every connection. */
  drop(): void;
  untilOpened(times: number): Promise<void>;
}

/** Has the issuer offer a stream. */
export function streamOf(issuer: Issuer): StatusStream {
  const listeners = new Set<ServerResponse>();
  let opened = 0;
  const stream: StatusStream = {
    listeners,
    get opened() {
      return opened;
    },
    instead: undefined,
    tell(event, data) {
      for (const listener of listeners) listener.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    },
    drop() {
      for (const listener of listeners) listener.destroy();
    },
    async untilOpened(times) {
      await until(() => opened >= times);
    },
  };
  const open = (request: IncomingMessage, response: ServerResponse): void => {
    opened += 1;
    if (stream.instead !== undefined) {
      stream.instead(request, response);
      return;
    }
    response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });
    response.write('event: lists\ndata: {"lists":{}}\n\n');
    listeners.add(response);
    void once(response, 'close').then(() => listeners.delete(response));
  };
  issuer.routes.set('/status/events', open);
  issuer.metadata['status_events_endpoint'] = `${issuer.url}/status/events`;
  return stream;
}
