import type { IncomingMessage } from 'node:http';
import { fromNode } from './api-request.ts';
import { remember } from './access-token.ts';
import type { Answer } from './answer.ts';
import type { Requirements } from './requirements.ts';
import { metadataAnswer } from './resource-metadata.ts';
import type { Verifier } from './verifier.ts';

/** The members of Fastify's request and reply that the library uses. */
export interface FastifyRequest {
  readonly raw: IncomingMessage;
  readonly originalUrl: string;
}
export interface FastifyReply {
  code(status: number): unknown;
  header(name: string, value: string | string[]): unknown;
  send(body: string): unknown;
}
export type FastifyHook = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

/**
 * Creates a Fastify `onRequest` hook that refuses requests without a valid token. `accessTokenOf(request)` returns the
 * token of an accepted request.
 */
export function fastifyGuard(verifier: Verifier, requirements?: Requirements): FastifyHook {
  const decide = verifier.guard(requirements);
  return async (request, reply) => {
    const decision = await decide(fromNode(request.raw, request.originalUrl));
    if (decision.token === undefined) return send(reply, decision);
    for (const [name, value] of Object.entries(decision.headers)) reply.header(name, value);
    remember(request, decision.token);
    return undefined;
  };
}

/**
 * Creates a Fastify hook that serves the API's metadata (RFC 9728 §3.1). Register it as `onRequest` of the whole
 * application.
 */
export function fastifyMetadata(verifier: Verifier): FastifyHook {
  return async (request, reply) => {
    const answer = metadataAnswer(verifier, request.raw.method, request.originalUrl);
    return answer === undefined ? undefined : send(reply, answer);
  };
}

/** Sends an answer from a hook, and returns the reply, as Fastify expects. */
function send(reply: FastifyReply, { status, headers, body }: Answer): FastifyReply {
  reply.code(status);
  for (const [name, value] of Object.entries(headers)) reply.header(name, value);
  reply.send(body);
  return reply;
}
