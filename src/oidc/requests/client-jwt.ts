import type { ProfileRules } from '../../config/sections/profiles.ts';
import { epochSeconds, type Clock } from '../../lib/clock.ts';

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
