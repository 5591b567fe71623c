import { errors, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import { decodeJwt } from 'jose';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import { rulesOf, policyOf } from '../clients/client-metadata.ts';
import type { SecretGuesses } from '../clients/secret-guesses.ts';
import { LONGEST_PROOF } from '../storage/replay-adapter.ts';
import type { ProfileRules } from '../../config/sections/profiles.ts';

/** A JWT that a client has signed. */
export interface ClientJwt {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

/**
 * Checks a client's JWT beyond the engine's rules. Its type must fit (RFC 8725 §3.11), it must require no extension
 * (RFC 7515 §4.1.11), and its algorithm and times must fit the client's profile. @param types accepted types in lower
 * case, without `application/`; `jwt` also accepts a header without a type @returns the violated rule
 */
export function clientJwtFault(
  { header, claims }: ClientJwt,
  { types, rules, clock }: { types: readonly string[]; rules: ProfileRules; clock: Clock },
): string | undefined {
  const { typ = 'JWT', alg } = header;
  if (typeof typ !== 'string' || !types.includes(typ.toLowerCase().replace(/^application\//, '')))
    return `the type (typ) must be ${types.join(' or ')}`;
  // The engine's JOSE library implements "b64", which changes the signed text. RFC 7797 §7 forbids it in JWTs.
  if ('crit' in header || 'b64' in header) return 'the header must not demand an extension (crit, b64)';
  if (rules.algorithms?.some((one) => one === alg) === false)
    return 'the profile of the client does not allow this algorithm';
  return aheadFault(claims, rules, clock);
}

/**
 * Checks that a JWT's times are not far in the future (FAPI 2.0 Security Profile §5.3.2.1). Clocks differ only by
 * seconds, so a JWT whose times are further ahead was made for later use.
 */
export function aheadFault(claims: ClientJwt['claims'], { mostAhead }: ProfileRules, clock: Clock): string | undefined {
  if (mostAhead === undefined) return undefined;
  const latest = epochSeconds(clock) + mostAhead;
  const late = ['iat', 'nbf'].find((name) => claims[name] !== undefined && !(Number(claims[name]) <= latest));
  return late && `${late} must be at most ${mostAhead} seconds ahead`;
}

/** Signature algorithms of client assertions (RFC 7523 §2.2). */
export const ASSERTION_ALGORITHMS = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519', 'HS256'] as const;

/** The registered type (draft-ietf-oauth-rfc7523bis §3), and `JWT`, which most clients still send. */
const TYPES = ['jwt', 'client-authentication+jwt'];

/**
 * Checks client assertions beyond the engine's rules. An assertion must expire before the server forgets that it was
 * used.
 */
export function assertClientAssertion({
  clock,
  secretGuesses,
}: {
  clock: Clock;
  secretGuesses: SecretGuesses;
}): NonNullable<Configuration['assertJwtClientAuthClaimsAndHeader']> {
  return async (context, claims, header, client) => {
    if (client.clientAuthMethod === 'client_secret_jwt') await secretGuesses.admit(context, client.clientId);
    const fault = clientJwtFault({ header, claims }, { types: TYPES, rules: rulesOf(client), clock });
    if (fault !== undefined) throw new errors.InvalidClientAuth(fault);
    const { exp } = claims;
    if (typeof exp !== 'number' || exp > epochSeconds(clock) + LONGEST_PROOF)
      throw new errors.InvalidClientAuth(`the assertion must expire (exp) within ${LONGEST_PROOF} seconds`);
  };
}

type Oidc = KoaContextWithOIDC['oidc'];

/**
 * Endpoints that a client assertion may name as its audience if the client's policy allows that (RFC 9126 §2, CIBA Core
 * 1.0 §7.1).
 */
const ENDPOINTS = ['token', 'pushed_authorization_request', 'backchannel_authentication'];

/**
 * Requires that a client assertion is for this issuer alone or, if the client's policy allows it, for this server's
 * endpoints. Any other audience could forward the assertion to this server (draft-ietf-oauth-rfc7523bis §4). The engine
 * would accept any of the server's URLs, even in a list with other audiences.
 */
export function expectedAudience(this: Oidc): Set<string> {
  const { client, issuer, params } = this;
  const takesEndpoint = client !== undefined && policyOf(client).endpointAudience;
  const aud = unverifiedClaims(String(params?.['client_assertion']))?.['aud'];
  const accepted = new Set([issuer, ...(takesEndpoint ? endpoints(this) : [])]);
  const isMeant = takesEndpoint ? [aud].flat().every((one) => accepted.has(String(one))) : aud === issuer;
  if (isMeant) return accepted;
  const taken = takesEndpoint ? [...accepted].join(' or ') : `${issuer}, as a text and nothing else`;
  const why = `the audience (aud) of the client assertion must be ${taken}`;
  throw Object.assign(new errors.InvalidClientAuth(why), { error_description: why });
}

function endpoints(oidc: Oidc): string[] {
  return [...new Set([...ENDPOINTS, oidc.route])].map((name) => oidc.urlFor(name));
}

/** @returns undefined for a text that is not a JWT, which the engine refuses */
export function unverifiedClaims(jwt: string): Record<string, unknown> | undefined {
  try {
    return decodeJwt(jwt);
  } catch {
    return undefined;
  }
}
