/** The origin of an account. */
export type AccountOrigin = 'sign-up' | 'operator' | 'configuration' | 'trusted-issuer';

/** Whoever says that an address belongs to the owner of its account. */
export type EmailVoucher = 'operator' | 'configuration' | 'trusted-issuer';

/** Facts of an account about its address. Accounts of earlier versions have neither. */
export interface Provenance {
  origin?: AccountOrigin;
  /** `at` in milliseconds since the epoch. */
  emailVerified?: { by: EmailVoucher; at: number };
  /** The person for whom a trusted issuer had it made, as a hash of the issuer and of its name for the person. */
  madeFor?: string;
}

/**
 * Tells whether the owner of the address is the owner of the account. A stranger may have signed up with the address of somebody
 * else, and an account of an earlier version does not say how it came to be.
 */
export function isOwnersAddress({ origin, emailVerified }: Provenance): boolean {
  return emailVerified !== undefined || origin === 'operator' || origin === 'configuration';
}

/** Tells whether the account is known to be a stranger's own making, for whom nobody vouched. */
export function isUnverifiedSignUp({ origin, emailVerified }: Provenance): boolean {
  return emailVerified === undefined && origin === 'sign-up';
}
