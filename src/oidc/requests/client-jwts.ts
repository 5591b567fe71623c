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
 * Checks every JWT signed by a client beyond the engine's rules: its type fits (RFC 8725 §3.11), it requires no
 * extension (RFC 7515 §4.1.11), and its algorithm and times fit the client's profile. @param types in lower case,
 * without `application/`; `jwt` allows a header without type @returns the violated rule
 */
export function clientJwtFault(
  { header, claims }: ClientJwt,
  { types, rules, clock }: { types: readonly string[]; rules: ProfileRules; clock: Clock },
): string | undefined {
  const { typ = 'JWT', alg } = header;
  if (typeof typ !== 'string' || !types.includes(typ.toLowerCase().replace(/^application\//, '')))
    return `the type (typ) must be ${types.join(' or ')}`;
  // The engine's JOSE library implements "b64", which changes what is signed (RFC 7797 §7 keeps it out of JWTs).
  if ('crit' in header || 'b64' in header) return 'the header must not demand an extension (crit, b64)';
  if (rules.algorithms?.some((one) => one === alg) === false)
    return 'the profile of the client does not allow this algorithm';
  return aheadFault(claims, rules, clock);
}

/** FAPI 2.0 Security Profile §5.3.2.1: clocks differ by seconds. A JWT from further ahead was made for later use. */
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

/** Checks that a client assertion expires before the server forgets its use; the engine does not. */
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

/** Endpoints that an assertion may name as its audience, if the client needs that (RFC 9126 §2, CIBA Core 1.0 §7.1). */
const ENDPOINTS = ['token', 'pushed_authorization_request', 'backchannel_authentication'];

/**
 * Requires that a client assertion is for this issuer and nobody else, because another server could forward it
 * (draft-ietf-oauth-rfc7523bis §4). The engine would accept any of its addresses, even in a list with others.
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

/** @returns undefined if it is no JWT; the engine refuses that */
export function unverifiedClaims(jwt: string): Record<string, unknown> | undefined {
  try {
    return decodeJwt(jwt);
  } catch {
    return undefined;
  }
}
