import type { IncomingMessage, ServerResponse } from 'node:http';
import { fromNode } from './api-request.ts';
import { remember } from './access-token.ts';
import { answerWith, serveMetadata } from './guard.ts';
import type { Requirements } from './requirements.ts';
import type { Verifier } from './verifier.ts';

/**
 * An Express handler, typed with the members that the library uses. A mounted router changes `url` and keeps
 * `originalUrl`.
 */
export type ExpressHandler = (
  request: IncomingMessage & { originalUrl?: string },
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * Creates Express middleware that refuses requests without a valid token. `accessTokenOf(request)` returns the token of
 * an accepted request.
 */
export function expressGuard(verifier: Verifier, requirements?: Requirements): ExpressHandler {
  const decide = verifier.guard(requirements);
  return (request, response, next) => {
    decide(fromNode(request, request.originalUrl))
      .then((decision) => {
        const token = answerWith(response, decision);
        if (token === undefined) return;
        remember(request, token);
        next();
      })
      .catch(next);
  };
}

/** Creates Express middleware that serves the API's metadata (RFC 9728 §3.1). */
export function expressMetadata(verifier: Verifier): ExpressHandler {
  const serve = serveMetadata(verifier);
  return (request, response, next) => {
    if (!serve(request, response)) next();
  };
}
