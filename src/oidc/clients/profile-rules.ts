/** The engine's policy hooks, decided by the client's profile. */
import { errors, type Client, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import { profiles, type Profile } from '../../config/profiles.ts';
import { clientSignature } from '../../config/values.ts';
import { POLICY, rulesOf, type ClientPolicy } from './client-metadata.ts';

/**
 * Looked at when a client is used, since a profile may be newer than a client of the store. One that describes itself gets
 * its policy later.
 */
export function refuseFaulty(_context: unknown, name: string, value: unknown): void {
  const fault = name === POLICY ? (value as ClientPolicy | undefined)?.fault : undefined;
  if (fault !== undefined) throw new errors.InvalidClientMetadata(fault);
}

/**
 * Tells whether a code must be bound to a PKCE challenge (RFC 7636). A confidential client authenticates, and OpenID
 * Connect gives it a nonce to compare. A challenge that it sends is verified all the same.
 */
export function needsChallenge({ oidc }: KoaContextWithOIDC, client: Client): boolean {
  const { pkce } = rulesOf(client);
  if (client.clientAuthMethod === 'none' || pkce === 'of everybody') return true;
  if (pkce === 'of public clients') return false;
  return !oidc.requestParamScopes.has('openid');
}

/** FAPI 2.0 Security Profile §5.3.2.1: where the client proves itself by its keys each time, a refresh token stays the same. */
export function rotatesRefreshTokens(client: Client): boolean {
  return !rulesOf(client).boundTokens;
}

/** A DPoP proof is looked at before its client is known, so it is held to the server's profile. */
export function dPoPAlgorithms(
  profile: Profile,
): Pick<NonNullable<Configuration['enabledJWA']>, 'dPoPSigningAlgValues'> {
  const { algorithms: allowed } = profiles[profile];
  return allowed === undefined
    ? {}
    : { dPoPSigningAlgValues: clientSignature.options.filter((alg) => allowed.includes(alg)) };
}
