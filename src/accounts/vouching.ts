/** The origin of an account. */
export type AccountOrigin = 'sign-up' | 'operator' | 'configuration' | 'trusted-issuer';

/** The party that vouches for the address of an account. */
export type EmailVoucher = 'operator' | 'configuration' | 'trusted-issuer';

/** The origin of an account and the verification of its address. Accounts of earlier versions have neither. */
export interface Provenance {
  origin?: AccountOrigin;
  /** `at` in milliseconds since the epoch. */
  emailVerified?: { by: EmailVoucher; at: number };
  /** A hash of the trusted issuer and its subject, if the account was made for that subject. */
  madeFor?: string;
}

/**
 * Tells whether the owner of the address owns the account. A stranger may have signed up with somebody else's address,
 * and an account of an earlier version has no recorded origin.
 */
export function isOwnersAddress({ origin, emailVerified }: Provenance): boolean {
  return emailVerified !== undefined || origin === 'operator' || origin === 'configuration';
}

/** Tells whether a person made the account by sign-up and nobody has verified its address. */
export function isUnverifiedSignUp({ origin, emailVerified }: Provenance): boolean {
  return emailVerified === undefined && origin === 'sign-up';
}
