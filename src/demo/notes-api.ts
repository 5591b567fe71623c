import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createVerifier, guard, serveMetadata } from '../resource-server/resource-server.ts';
import type { AccessToken, Guard } from '../resource-server/resource-server.ts';

interface NotesApiOptions {
  issuer: string;
  /** The API's resource identifier. */
  audience: string;
  /** The origins whose pages may call the API. */
  origins: readonly string[];
}

/** The API's request listener. Closing it stops the verifier. */
export interface NotesApi extends RequestListener {
  close(): void;
}

interface Endpoint {
  pass: Guard;
  answer: (token: AccessToken) => unknown;
}

/** Creates the demo's protected API. The table below lists its routes and their requirements. */
export function createNotesApi({ issuer, audience, origins }: NotesApiOptions): NotesApi {
  const verifier = createVerifier({
    issuer,
    audience,
    metadata: { resource_name: 'Latchkey demo: notes', scopes_supported: ['notes:read'] },
  });
  const isMetadata = serveMetadata(verifier);
  const endpoints = new Map<string, Endpoint>([
    ['/me', { pass: guard(verifier), answer: me }],
    ['/notes', { pass: guard(verifier, { scope: 'notes:read' }), answer: notes }],
    ['/admin', { pass: guard(verifier, { role: 'admin' }), answer: admin }],
  ]);

  const listener: RequestListener = (request, response) => {
    if (isMetadata(request, response)) return;
    allowOrigin(request, response, origins);
    const endpoint = endpoints.get(request.url?.split('?', 1)[0] ?? '');
    if (endpoint === undefined) {
      sendJson(response, 404, { error: 'not_found', error_description: 'There are /me, /notes and /admin' });
    } else if (request.method === 'OPTIONS') {
      response.writeHead(204, { Allow: 'GET, HEAD, OPTIONS' }).end();
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD, OPTIONS');
      sendJson(response, 405, { error: 'method_not_allowed', error_description: 'This can only be read' });
    } else {
      void answer(endpoint, request, response);
    }
  };
  return Object.assign(listener, { close: () => verifier.close() });
}

async function answer(endpoint: Endpoint, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const token = await endpoint.pass(request, response);
    if (token !== undefined) sendJson(response, 200, endpoint.answer(token));
  } catch {
    sendJson(response, 500, { error: 'server_error', error_description: 'Something went wrong' });
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  response.end(JSON.stringify(value));
}

/** Lets pages of the listed origins read every answer, including refusals, which tell the app what to do. */
function allowOrigin(request: IncomingMessage, response: ServerResponse, origins: readonly string[]): void {
  response.setHeader('Vary', 'Origin');
  const { origin } = request.headers;
  if (origin === undefined || !origins.includes(origin)) return;
  response.setHeader('Access-Control-Allow-Origin', origin);
  response.setHeader('Access-Control-Allow-Headers', 'Authorization');
  response.setHeader('Access-Control-Expose-Headers', 'WWW-Authenticate');
  response.setHeader('Access-Control-Max-Age', '600');
}

function me({ sub, roles, scopes, clientId }: AccessToken): unknown {
  return { sub, roles, scope: scopes.join(' '), client_id: clientId };
}

function notes({ sub }: AccessToken): unknown {
  return {
    owner: sub,
    notes: [
      { id: 1, title: 'Groceries', text: 'Bread, olives, lemons.' },
      { id: 2, title: 'Spare key', text: 'Under the third flowerpot. Better: ask Latchkey.' },
      { id: 3, title: 'Call back', text: 'Tell grandmother that one sign-in is enough now.' },
    ],
  };
}

function admin({ sub }: AccessToken): unknown {
  return { welcome: 'You hold the role admin.', sub };
}
