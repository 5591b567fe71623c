import { request as httpRequest } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { text } from 'node:stream/consumers';
import { createVerifier, guard, serveMetadata } from '../../src/resource-server/resource-server.ts';
import type { Requirements, Verifier, VerifierOptions } from '../../src/resource-server/resource-server.ts';
import { AUDIENCE, currentDate } from './issuer.ts';
import type { Issuer } from './issuer.ts';
import { serve } from './serving.ts';

export interface ApiAnswer {
  status: number | undefined;
  /** One for each header field. */
  challenges: string[];
  headers: IncomingMessage['headers'];
  body: string;
}

export interface Asked {
  method?: string;
  path?: string;
  headers?: OutgoingHttpHeaders | string[];
}

/** An API by `node:http` that the kit protects, and says to whom it answers. */
export interface Api extends AsyncDisposable {
  readonly url: string;
  readonly verifier: Verifier;
  ask(asked: Asked): Promise<ApiAnswer>;
  close(): Promise<void>;
}

export async function startApi(
  issuer: Pick<Issuer, 'url'>,
  options: Partial<VerifierOptions> = {},
  requirements: Requirements = {},
): Promise<Api> {
  const verifier = createVerifier({ issuer: issuer.url, audience: AUDIENCE, currentDate, ...options });
  const pass = guard(verifier, requirements);
  const metadata = serveMetadata(verifier);
  const server = await serve((request, response) => {
    if (metadata(request, response)) return;
    pass(request, response).then(
      (token) => token && response.end(`for ${token.sub}`),
      () => response.destroy(),
    );
  });
  const close = async (): Promise<void> => {
    verifier.close();
    await server.close();
  };
  return { url: server.url, verifier, ask: (asked) => ask(server.port, asked), close, [Symbol.asyncDispose]: close };
}

/** As `node:http` sends it, since `fetch` would not send what a hostile client does. */
export async function ask(port: number, { method = 'GET', path = '/', headers = {} }: Asked): Promise<ApiAnswer> {
  const request = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject);
  });
  request.end();
  const response = await answered;
  return {
    status: response.statusCode,
    challenges: response.headersDistinct['www-authenticate'] ?? [],
    headers: response.headers,
    body: await text(response),
  };
}

export const bearer = (token: string): OutgoingHttpHeaders => ({ authorization: `Bearer ${token}` });
