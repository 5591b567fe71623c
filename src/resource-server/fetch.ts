import type { AccessToken } from './access-token.ts';
import type { Answer } from './answer.ts';
import type { ApiRequest } from './api-request.ts';
import type { Requirements } from './requirements.ts';
import { metadataAnswer } from './resource-metadata.ts';
import type { Verifier } from './verifier.ts';

export type FetchHandler = (request: Request, token: AccessToken) => Response | Promise<Response>;

/** Wraps a Fetch handler, so that it runs only for requests with a valid token. */
export function fetchGuard(
  verifier: Verifier,
  requirements: Requirements,
  handler: FetchHandler,
): (request: Request) => Promise<Response> {
  const decide = verifier.guard(requirements);
  return async (request) => {
    const decision = await decide(fromFetch(request));
    if (decision.token === undefined) return toResponse(decision);
    const response = await handler(request, decision.token);
    if (Object.keys(decision.headers).length === 0) return response;
    // The response is copied, because the headers of a redirect or a fetched response are immutable.
    const headers = new Headers(response.headers);
    for (const [name, value] of Object.entries(decision.headers)) headers.set(name, value);
    return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
  };
}

/**
 * Creates a function that answers requests for the API's metadata (RFC 9728 §3.1), and returns undefined for others.
 */
export function fetchMetadata(verifier: Verifier): (request: Request) => Response | undefined {
  return (request) => {
    const answer = metadataAnswer(verifier, request.method, targetOf(request));
    return answer === undefined ? undefined : toResponse(answer);
  };
}

function fromFetch(request: Request): ApiRequest {
  return {
    method: request.method,
    target: targetOf(request),
    // Fetch joins the values of a repeated header with commas. The result is then refused as malformed.
    headers(name) {
      const value = request.headers.get(name);
      return value === null ? [] : [value];
    },
  };
}

function targetOf({ url }: Request): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

function toResponse({ status, headers, body }: Answer): Response {
  const list = new Headers();
  for (const [name, value] of Object.entries(headers)) for (const one of [value].flat()) list.append(name, one);
  return new Response(body, { status, headers: list });
}
