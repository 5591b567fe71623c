import type { Account } from './accounts.ts';

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

export interface AccountClaims {
  sub: string;
  name?: string;
  /** The sign-in name, which is unique. People could choose a display name that passes for another person's. */
  preferred_username?: string;
  /** In seconds since the epoch. */
  updated_at?: number;
  email?: string;
  email_verified?: boolean;
  roles?: readonly string[];
  /** The engine looks claims up by any name. */
  [claim: string]: unknown;
}

/** Returns an account's claims under the granted scopes. `sub` is always there: no response is valid without it. */
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
    // Omitted unless the address is verified: an app that sees `false` may lock the person out for good.
    ...(granted.has('email') && account.emailVerified && { email_verified: true }),
    ...(granted.has('roles') && { roles: account.roles }),
  };
}
