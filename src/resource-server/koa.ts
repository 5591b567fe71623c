import type { IncomingMessage } from 'node:http';
import type { Answer } from './answer.ts';
import { fromNode } from './api-request.ts';
import { remember } from './access-token.ts';
import type { Requirements } from './requirements.ts';
import { metadataAnswer } from './resource-metadata.ts';
import type { Verifier } from './verifier.ts';

/** The members of Koa's context that the library uses. */
export interface KoaContext {
  readonly req: IncomingMessage;
  readonly originalUrl: string;
  status: number;
  body: unknown;
  set(name: string, value: string | string[]): void;
}

export type KoaMiddleware = (context: KoaContext, next: () => Promise<unknown>) => Promise<void>;

/**
 * Creates Koa middleware that refuses requests without a valid token. `accessTokenOf(context)` returns the token of an
 * accepted request.
 */
export function koaGuard(verifier: Verifier, requirements?: Requirements): KoaMiddleware {
  const decide = verifier.guard(requirements);
  return async (context, next) => {
    const decision = await decide(fromNode(context.req, context.originalUrl));
    if (decision.token === undefined) {
      send(context, decision);
      return;
    }
    for (const [name, value] of Object.entries(decision.headers)) context.set(name, value);
    remember(context, decision.token);
    await next();
  };
}

/** Creates Koa middleware that serves the API's metadata (RFC 9728 §3.1). */
export function koaMetadata(verifier: Verifier): KoaMiddleware {
  return async (context, next) => {
    const answer = metadataAnswer(verifier, context.req.method, context.originalUrl);
    if (answer === undefined) await next();
    else send(context, answer);
  };
}

function send(context: KoaContext, { status, headers, body }: Answer): void {
  context.status = status;
  // Koa would write the status text as the body if the body were unset. An empty text prevents that.
  context.body = body;
  for (const [name, value] of Object.entries(headers)) context.set(name, value);
}
