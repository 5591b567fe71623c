import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KeyRing } from '../keys/key-ring.ts';
import type { Admission } from './admission.ts';
import type { Handler } from './connections.ts';
import { servePublished, type Published } from './published.ts';

/** Handles requests; rebuilt whenever the keys change. */
export interface Engine {
  readonly published: Published;
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

/**
 * Passes each request to the engine that is current at its start, and finishes it there. If the keys may be outdated,
 * the request waits for a reload.
 */
export function requestHandler(admission: Admission, current: () => Engine, keys: Pick<KeyRing, 'overdue'>): Handler {
  const answer: Handler = (request, response) => {
    const engine = current();
    if (admission.admit(request) && servePublished(engine.published, request, response)) return;
    void engine.handle(request, response);
  };
  return (request, response) => {
    const look = keys.overdue();
    if (look === undefined) answer(request, response);
    else
      void look.then(() => {
        answer(request, response);
      });
  };
}
