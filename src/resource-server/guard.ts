import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AccessToken } from './access-token.ts';
import type { Answer } from './answer.ts';
import { fromNode } from './api-request.ts';
import type { Decision } from './decision.ts';
import type { Requirements } from './requirements.ts';
import { metadataAnswer } from './resource-metadata.ts';
import type { Verifier } from './verifier.ts';

/** Resolves to the verified token, or to undefined once the request has been refused. */
export type Guard = (request: IncomingMessage, response: ServerResponse) => Promise<AccessToken | undefined>;

/**
 * Creates a guard for `node:http`, which refuses requests without a valid token.
 * @throws TypeError if a requirement is malformed, or names an `acr` that is not in the verifier's `acrValues`
 */
export function guard(verifier: Verifier, requirements?: Requirements): Guard {
  const decide = verifier.guard(requirements);
  return async (request, response) => answerWith(response, await decide(fromNode(request)));
}

/** Sends a refusal, or returns the token and sets the headers of the API's own response. */
export function answerWith(response: ServerResponse, decision: Decision): AccessToken | undefined {
  if (decision.token === undefined) send(response, decision);
  else for (const [name, value] of Object.entries(decision.headers)) response.setHeader(name, value);
  return decision.token;
}

/** Creates a handler that answers requests for the API's metadata (RFC 9728 §3.1), and returns false for others. */
export function serveMetadata(verifier: Verifier): (request: IncomingMessage, response: ServerResponse) => boolean {
  return (request, response) => {
    const answer = metadataAnswer(verifier, request.method, request.url);
    if (answer !== undefined) send(response, answer);
    return answer !== undefined;
  };
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(body);
}
