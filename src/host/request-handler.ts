import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KeyRing } from '../keys/key-ring.ts';
import type { Admission } from './admission.ts';
import type { Handler } from './connections.ts';
import { servePublished, type Published } from './published.ts';

/** Answers requests; rebuilt whenever the keys change. */
export interface Engine {
  readonly published: Published;
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

/**
 * A request goes to the engine that is current when it begins, and finishes on that one. Where the keys may be out of date
 * it begins once they have been looked at.
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
