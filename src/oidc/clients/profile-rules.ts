/** Hooks of the engine whose outcome depends on a profile. */
import { errors, type Client, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import { profiles, type Profile } from '../../config/sections/profiles.ts';
import { clientSignature } from '../../config/values.ts';
import { POLICY, rulesOf, type ClientPolicy } from './client-metadata.ts';

/**
 * Refuses a client that has a fault in its policy. This is checked at each use, because the profile may be newer than a
 * stored client. A client with a metadata document has no policy yet; `allowClient` checks it.
 */
export function refuseFaulty(_context: unknown, name: string, value: unknown): void {
  const fault = name === POLICY ? (value as ClientPolicy | undefined)?.fault : undefined;
  if (fault !== undefined) throw new errors.InvalidClientMetadata(fault);
}

/**
 * Tells whether a code must be bound to a PKCE challenge (RFC 7636). Some profiles exempt confidential clients, because
 * these authenticate. Others exempt them only in OpenID Connect requests, where they can compare a nonce. A voluntary
 * challenge is verified all the same.
 */
export function needsChallenge({ oidc }: KoaContextWithOIDC, client: Client): boolean {
  const { pkce } = rulesOf(client);
  if (client.clientAuthMethod === 'none' || pkce === 'of everybody') return true;
  if (pkce === 'of public clients') return false;
  return !oidc.requestParamScopes.has('openid');
}

/**
 * Tells whether the client's refresh tokens are rotated. They are not if the client must prove possession of a key at
 * each use (FAPI 2.0 Security Profile §5.3.2.1).
 */
export function rotatesRefreshTokens(client: Client): boolean {
  return !rulesOf(client).boundTokens;
}

/** Returns the algorithms for DPoP proofs. The engine has one list for all clients, so the server's profile applies. */
export function dPoPAlgorithms(
  profile: Profile,
): Pick<NonNullable<Configuration['enabledJWA']>, 'dPoPSigningAlgValues'> {
  const { algorithms: allowed } = profiles[profile];
  return allowed === undefined
    ? {}
    : { dPoPSigningAlgValues: clientSignature.options.filter((alg) => allowed.includes(alg)) };
}
