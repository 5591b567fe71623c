import type { Account } from './accounts.ts';

/** Which claims a scope asks for (OpenID Connect Core §5.4; `roles` is RFC 9068 §2.2.3.1's). */
export const claimsOfScope = {
  openid: ['sub'],
  profile: ['name'],
  email: ['email', 'email_verified'],
  roles: ['roles'],
} as const;

/** The scope that opens a claim of the account; `sub` needs none. */
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
  email?: string;
  email_verified?: boolean;
  roles?: readonly string[];
  /** The engine takes claims by any name. */
  [claim: string]: unknown;
}

/** What an account's claims say under the scopes granted. `sub` is always there: no answer is valid without it. */
export function accountClaims(account: Account, scopes: Iterable<string>): AccountClaims {
  const granted = new Set(scopes);
  return {
    sub: account.id,
    ...(granted.has('profile') && { name: account.name }),
    // Nobody has proved that the address is theirs: there is no mail channel to prove it by.
    ...(granted.has('email') && { email: account.email, email_verified: false }),
    ...(granted.has('roles') && { roles: account.roles }),
  };
}
