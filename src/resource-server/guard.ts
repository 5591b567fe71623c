import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AccessToken } from './access-token.ts';
import type { Answer } from './answer.ts';
import { fromNode } from './api-request.ts';
import type { Decision } from './decision.ts';
import type { Requirements } from './requirements.ts';
import { metadataAnswer } from './resource-metadata.ts';
import type { Verifier } from './verifier.ts';

/** Resolves to the verified token, or to nothing when the request has already been answered with a refusal. */
export type Guard = (request: IncomingMessage, response: ServerResponse) => Promise<AccessToken | undefined>;

/**
 * For `node:http`: lets only requests with a good token pass, and answers the others.
 * @throws TypeError when a need could not stand in a header or never be fulfilled.
 */
export function guard(verifier: Verifier, requirements?: Requirements): Guard {
  const decide = verifier.guard(requirements);
  return async (request, response) => answerWith(response, await decide(fromNode(request)));
}

/** Sends a refusal, or gives the token and sets what belongs to the API's own answer. */
export function answerWith(response: ServerResponse, decision: Decision): AccessToken | undefined {
  if (decision.token === undefined) send(response, decision);
  else for (const [name, value] of Object.entries(decision.headers)) response.setHeader(name, value);
  return decision.token;
}

/** Answers a request for the API's metadata (RFC 9728 §3.1), and says whether it was one. */
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
