/** The engine's policy hooks, decided by the client's profile. */
import { errors, type Client, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import { profiles, type Profile } from '../../config/sections/profiles.ts';
import { clientSignature } from '../../config/values.ts';
import { POLICY, rulesOf, type ClientPolicy } from './client-metadata.ts';

/**
 * Checked at use, because a profile may be newer than a stored client. A self-described client gets its policy later.
 */
export function refuseFaulty(_context: unknown, name: string, value: unknown): void {
  const fault = name === POLICY ? (value as ClientPolicy | undefined)?.fault : undefined;
  if (fault !== undefined) throw new errors.InvalidClientMetadata(fault);
}

/**
 * Tells whether a code must be bound to a PKCE challenge (RFC 7636). A confidential client authenticates, and OpenID
 * Connect gives it a nonce to compare. A voluntary challenge is verified all the same.
 */
export function needsChallenge({ oidc }: KoaContextWithOIDC, client: Client): boolean {
  const { pkce } = rulesOf(client);
  if (client.clientAuthMethod === 'none' || pkce === 'of everybody') return true;
  if (pkce === 'of public clients') return false;
  return !oidc.requestParamScopes.has('openid');
}

/**
 * FAPI 2.0 Security Profile §5.3.2.1: if the client proves possession of its keys each time, its refresh tokens are not
 * rotated.
 */
export function rotatesRefreshTokens(client: Client): boolean {
  return !rulesOf(client).boundTokens;
}

/** A DPoP proof is checked before its client is known, so the server's profile applies. */
export function dPoPAlgorithms(
  profile: Profile,
): Pick<NonNullable<Configuration['enabledJWA']>, 'dPoPSigningAlgValues'> {
  const { algorithms: allowed } = profiles[profile];
  return allowed === undefined
    ? {}
    : { dPoPSigningAlgValues: clientSignature.options.filter((alg) => allowed.includes(alg)) };
}
