import type { ClaimPlace, ClaimSource, PlacedClaims } from '../config/sections/claims-schema.ts';
import type { Account } from './account.ts';

/** Claims of each scope (OpenID Connect Core §5.4; `roles` is from RFC 9068 §2.2.3.1). */
export const claimsOfScope = {
  openid: ['sub'],
  profile: ['name', 'preferred_username', 'updated_at'],
  email: ['email', 'email_verified'],
  roles: ['roles'],
} as const;

/** Returns the scope that a claim requires; `sub` requires none. */
export function scopeOfClaim(claim: string): 'profile' | 'email' | 'roles' | undefined {
  return (['profile', 'email', 'roles'] as const).find((scope) =>
    (claimsOfScope[scope] as readonly string[]).includes(claim),
  );
}

export function scopesOfClaims(claims: readonly string[]): string[] {
  return claims.map(scopeOfClaim).filter((scope) => scope !== undefined);
}

interface AccountClaims {
  sub: string;
  name?: string;
  /**
   * The email address, with which the person signs in and which is unique. People could choose a display name that
   * passes for another person's.
   */
  preferred_username?: string;
  /** In seconds since the epoch. */
  updated_at?: number;
  email?: string;
  email_verified?: boolean;
  roles?: readonly string[];
  /** Any other name, because the engine looks claims up by name. */
  [claim: string]: unknown;
}

/**
 * Returns an account's claims under the granted scopes. They always include `sub`, because no response is valid without
 * it.
 */
export function accountClaims(account: Account, scopes: Iterable<string>): AccountClaims {
  const granted = new Set(scopes);
  return {
    sub: account.id,
    ...(granted.has('profile') && {
      name: account.name,
      preferred_username: account.email,
      updated_at: Math.floor((account.updatedAt ?? account.createdAt) / 1000),
    }),
    ...(granted.has('email') && { email: account.email }),
    // Omits the claim unless the address is verified, because an app that sees `false` may lock the person out for
    // good.
    ...(granted.has('email') && account.emailVerified && { email_verified: true }),
    ...(granted.has('roles') && { roles: account.roles }),
  };
}

/** The scope that a third-party app needs to receive each source of a claim; `sub` needs none. */
const SCOPE: Readonly<Partial<Record<ClaimSource, string>>> = {
  email: 'email',
  email_verified: 'email',
  name: 'profile',
  updated_at: 'profile',
  roles: 'roles',
};

/** The person whom claims are about. */
export interface Person {
  account: Account;
  /** The subject by which the client knows them. */
  sub: string;
  /** Tells whether a scope was granted. For the operator's own software, every scope counts as granted. */
  isOpen: (scope: string) => boolean;
}

/**
 * Returns the claims that the operator has configured for a client or a resource, limited to one place and to the
 * granted scopes. @param person absent if nobody signed in; constant claims are returned all the same
 */
export function mappedClaims(
  claims: PlacedClaims | undefined,
  place: ClaimPlace,
  person: Person | undefined,
): Record<string, unknown> {
  const here = Object.entries(claims ?? {}).filter(([, claim]) => claim.in.includes(place));
  const claimValues = here.map(([name, { from, value }]) => [name, from === undefined ? value : valueOf(from, person)]);
  return Object.fromEntries(claimValues.filter(([, value]) => value !== undefined)) as Record<string, unknown>;
}

function valueOf(source: ClaimSource, person: Person | undefined): unknown {
  const scope = SCOPE[source];
  if (person === undefined || (scope !== undefined && !person.isOpen(scope))) return undefined;
  const { account, sub } = person;
  return source === 'sub' ? sub : accountClaims(account, ['profile', 'email', 'roles'])[source];
}
