/**
 * The scopes that need no resource (OpenID Connect Core §5.4 and §11, and `roles` for the account's roles), each with
 * what it means, in words for the person who is asked.
 */
export const standardScopes = {
  openid: 'Confirm your identity',
  profile: 'See your name and the address that you sign in with',
  email: 'See your email address',
  roles: 'See your roles',
  offline_access: 'Stay connected while you are away',
} as const;

export const STANDARD_SCOPES: readonly string[] = Object.keys(standardScopes);
