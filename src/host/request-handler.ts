import type { IncomingMessage, ServerResponse } from 'node:http';
import { etagOf, matchesEtag } from '../http/response-headers.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { Admission } from './admission.ts';
import type { Handler } from './connections.ts';

/** Public documents by path. They change only with the key ring, so they are served from memory before Koa runs. */
type Published = ReadonlyMap<string, PublishedDocument>;

interface PublishedDocument {
  /** A string, because Node then sends headers and body in one write. */
  readonly body: string;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string | number>>;
}

/** Prepares documents for serving. @param maxAge time in seconds for which any cache may keep them */
export function published(documents: ReadonlyMap<string, object>, maxAge: number): Published {
  return new Map([...documents].map(([path, document]) => [path, publishedDocument(document, maxAge)]));
}

function publishedDocument(document: object, maxAge: number): PublishedDocument {
  const body = JSON.stringify(document);
  const etag = etagOf(body);
  return {
    body,
    etag,
    headers: {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': `public, max-age=${String(maxAge)}`,
      ETag: etag,
      // Browser apps of any origin may read these documents; they contain no secrets.
      'Access-Control-Allow-Origin': '*',
      'X-Content-Type-Options': 'nosniff',
    },
  };
}

/** @returns whether it answered a request for a published document */
function servePublished(documents: Published, request: IncomingMessage, response: ServerResponse): boolean {
  if (request.method !== 'GET' && request.method !== 'HEAD') return false;
  const document = documents.get(pathOf(request.url ?? ''));
  if (document === undefined) return false;
  const isKnown = matchesEtag(request.headers['if-none-match'], document.etag);
  response.writeHead(isKnown ? 304 : 200, document.headers);
  response.end(isKnown || request.method === 'HEAD' ? undefined : document.body);
  return true;
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** Handles requests. The server builds a new engine whenever the keys change. */
export interface Engine {
  readonly published: Published;
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

/**
 * Passes each request to the engine that is current when the request starts. If the keys may be outdated, the request
 * waits until they are reloaded.
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
