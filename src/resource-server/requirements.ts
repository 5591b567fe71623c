import type { AccessToken } from './access-token.ts';
import { InsufficientAuthentication, InsufficientScope } from './errors.ts';

/** Requirements that a part of an API places on a token. */
export interface Requirements {
  /** Scopes, separated by spaces, all of which the token must have. */
  scope?: string;
  /** A role that the token's subject must have. */
  role?: string;
  /** Weakest accepted authentication context (`acr`, RFC 9470). The verifier's `acrValues` define the order. */
  acr?: string;
  /** Longest time since the person signed in, in seconds (`auth_time`, RFC 9470). */
  maxAge?: number;
}

export interface Circumstances {
  /** Authentication contexts from the weakest to the strongest. */
  acrValues: readonly string[];
  /** Accepted clock difference, in seconds. */
  clockTolerance: number;
  /** Returns the seconds since the Unix epoch. */
  now: () => number;
}

// Characters that RFC 6750 §3 allows in `scope` and `error_description`.
const PLAIN = /^[\x20\x21\x23-\x5B\x5D-\x7E]+$/;

/**
 * Returns a check that throws InsufficientScope or InsufficientAuthentication for a token that lacks a requirement.
 * @throws TypeError if a requirement is malformed, or names an `acr` that is not in `acrValues`
 */
export function demand(
  requirements: Requirements,
  { acrValues, clockTolerance, now }: Circumstances,
): (token: AccessToken) => void {
  const { scope, role, acr, maxAge } = requirements;
  for (const name of [scope, role, acr]) {
    if (name !== undefined && !PLAIN.test(name)) throw new TypeError(`${JSON.stringify(name)} cannot be required`);
  }
  if (maxAge !== undefined && !(maxAge >= 0)) throw new TypeError('maxAge is a number of seconds');
  const scopes = scope?.split(' ') ?? [];
  const enough = acr === undefined ? undefined : atLeast(acr, acrValues);
  const challenge = {
    ...(enough && { acr_values: enough.join(' ') }),
    ...(maxAge !== undefined && { max_age: String(maxAge) }),
  };

  return ({ scopes: held, roles, claims }) => {
    if (!scopes.every((name) => held.includes(name))) {
      throw new InsufficientScope('The access token lacks a scope', scope);
    }
    if (role !== undefined && !roles.includes(role)) throw new InsufficientScope(`The role ${role} is required`);
    const isStrong = enough?.some((value) => value === claims['acr']) ?? true;
    const isRecent = maxAge === undefined || now() - timeOf(claims['auth_time']) <= maxAge + clockTolerance;
    if (!isStrong || !isRecent) throw new InsufficientAuthentication(challenge);
  };
}

function atLeast(acr: string, acrValues: readonly string[]): readonly string[] {
  if (acrValues.length === 0) return [acr];
  const at = acrValues.indexOf(acr);
  if (at === -1) throw new TypeError(`${acr} is not among acrValues`);
  return acrValues.slice(at);
}

function timeOf(claim: unknown): number {
  return typeof claim === 'number' ? claim : -Infinity;
}
