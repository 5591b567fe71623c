import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Admission } from './admission.ts';
import type { Handler } from './listener.ts';
import { servePublished, type Published } from './published.ts';

/** What answers requests: built anew whenever the keys change. */
export interface Engine {
  readonly published: Published;
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

/** A request goes to the engine that is current when it begins, and finishes on that one. */
export function requestHandler(admission: Admission, current: () => Engine): Handler {
  return (request, response) => {
    const engine = current();
    if (admission.admit(request) && servePublished(engine.published, request, response)) return;
    void engine.handle(request, response);
  };
}
