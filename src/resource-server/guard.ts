import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AccessToken } from './access-token.ts';
import { bearerToken } from './bearer-token.ts';
import { AccessRefused, InsufficientScope, IssuerUnavailable } from './errors.ts';
import type { Verifier } from './verifier.ts';

export interface Needs {
  /** Scopes, separated by spaces, all of which the token must have. */
  scope?: string;
  /** A role that the token's subject must have. */
  role?: string;
}

/** Resolves to the verified token, or to nothing when the request has already been answered with a refusal. */
export type Guard = (request: IncomingMessage, response: ServerResponse) => Promise<AccessToken | undefined>;

// What RFC 6750 §3 lets stand in `scope` and `error_description` without quoting.
const PLAIN = /^[\x20\x21\x23-\x5B\x5D-\x7E]+$/;

/**
 * Lets only requests with a good token pass and answers the others as RFC 6750 §3 says.
 * @throws TypeError when a scope or role could not stand in a header.
 */
export function guard(verifier: Verifier, needs: Needs = {}): Guard {
  for (const name of [needs.scope, needs.role]) {
    if (name !== undefined && !PLAIN.test(name))
      throw new TypeError(`${JSON.stringify(name)} is not a scope or a role`);
  }
  return async (request, response) => {
    try {
      const token = await verifier.verify(bearerToken(request));
      demand(token, needs);
      return token;
    } catch (error) {
      if (!(error instanceof AccessRefused)) throw error;
      refuse(response, error, verifier.audience);
      return undefined;
    }
  };
}

function demand(token: AccessToken, { scope, role }: Needs): void {
  const required = scope?.split(' ') ?? [];
  if (!required.every((name) => token.scopes.includes(name))) {
    throw new InsufficientScope('The access token lacks a scope', scope);
  }
  if (role !== undefined && !token.roles.includes(role)) throw new InsufficientScope(`The role ${role} is required`);
}

function refuse(response: ServerResponse, error: AccessRefused, realm: string): void {
  response.statusCode = error.status;
  response.setHeader('Cache-Control', 'no-store');
  if (error instanceof IssuerUnavailable) response.setHeader('Retry-After', '5');
  else response.setHeader('WWW-Authenticate', challenge(error, realm));
  // RFC 6750 §3: who sent no token is told nothing but that one is needed.
  if (error.code === undefined) {
    response.end();
    return;
  }
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({ error: error.code, error_description: error.message }));
}

function challenge(error: AccessRefused, realm: string): string {
  const parameters = [`realm=${quoted(realm)}`];
  if (error.code !== undefined) {
    parameters.push(`error=${quoted(error.code)}`, `error_description=${quoted(error.message)}`);
  }
  if (error instanceof InsufficientScope && error.scope !== undefined) parameters.push(`scope=${quoted(error.scope)}`);
  return `Bearer ${parameters.join(', ')}`;
}

function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}
