import type { Client, UnknownObject } from 'oidc-provider';
import { mappedClaims, type Person } from '../../accounts/claims.ts';
import { placed } from '../../config/sections/claims-schema.ts';
import type { ResourceConfig } from '../../config/schema.ts';
import { policyOf } from '../clients/client-metadata.ts';

/**
 * Symbol under which an account's claims hold the operator's additions, because the engine knows no claim names of
 * single clients.
 */
const ADDED = Symbol('claims that the operator added');

type Carrying = UnknownObject & { [ADDED]?: Record<string, unknown> };

/** The operator's own apps need no scope, except apps on devices, which other software can imitate (RFC 8252 §8.6). */
export function isOfTheHouse(client: Client): boolean {
  return client.applicationType === 'web' && policyOf(client).firstParty;
}

/** Returns the claims that the operator adds to a client's ID tokens, or at /userinfo, beside those of its scopes. */
export function withAdded(
  claims: UnknownObject,
  place: 'id_token' | 'userinfo',
  { client, person }: { client: Client; person: Person },
): UnknownObject {
  return { ...claims, [ADDED]: mappedClaims(policyOf(client).claims, place, person) };
}

interface EngineClaims {
  available: Carrying;
  result(): Promise<UnknownObject>;
}

/** Adds the operator's claims to the account claims that the engine returns. */
export function resultWithAdded(engine: EngineClaims['result']) {
  return async function result(this: EngineClaims): Promise<UnknownObject> {
    const { [ADDED]: added } = this.available;
    return { ...(await engine.call(this)), ...added };
  };
}

/** Returns the operator's claims for an API's token, in the token itself or in introspection. */
export function addedToToken(
  { client, audience, resources }: { client: Client; audience: unknown; resources: readonly ResourceConfig[] },
  place: 'access_token' | 'introspection',
  person: Person | undefined,
): Record<string, unknown> {
  const { claims = {} } = resources.find(({ identifier }) => identifier === audience) ?? {};
  return {
    ...mappedClaims(policyOf(client).claims, place, person),
    ...mappedClaims(placed(claims, 'resource'), place, person),
  };
}
