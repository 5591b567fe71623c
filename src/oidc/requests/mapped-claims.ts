import type { Client, UnknownObject } from 'oidc-provider';
import { mappedClaims, type Person } from '../../accounts/mapped-claims.ts';
import { placed } from '../../config/claims.ts';
import type { ResourceConfig } from '../../config/schema.ts';
import { policyOf } from '../clients/client-metadata.ts';

/** Under it an account's claims carry those that the operator added; the engine knows no names of one client alone. */
const ADDED = Symbol('claims that the operator added');

type Carrying = UnknownObject & { [ADDED]?: Record<string, unknown> };

/** The operator's own apps are told without a scope; other software on a device can pass for one (RFC 8252 §8.6). */
export function isOfTheHouse(client: Client): boolean {
  return client.applicationType === 'web' && policyOf(client).firstParty;
}

/** The claims that the operator adds to a client's ID tokens, or at /userinfo, beside the claims of its scopes. */
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

/** Has the claims of an account that leave the engine hold those that the operator added. */
export function resultWithAdded(engine: EngineClaims['result']) {
  return async function result(this: EngineClaims): Promise<UnknownObject> {
    const { [ADDED]: added } = this.available;
    return { ...(await engine.call(this)), ...added };
  };
}

/** The claims of a token for an API about the account, or of everybody, beside the usual, in itself or in introspection. */
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
