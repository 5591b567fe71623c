import type { Configuration } from 'oidc-provider';
import type { Config } from '../config/schema.ts';
import { epochSeconds, type Clock } from '../lib/clock.ts';
import { rulesOf } from './clients/client-metadata.ts';

/**
 * Lifetime of a grant in seconds. No token outlives its grant, so a grant must outlive a refresh token family that
 * begins just before the grant is renewed.
 */
export function grantLife({ refresh_family }: Pick<Config['tokens'], 'refresh_family'>): number {
  return refresh_family + RENEWAL;
}

/** Shortest time between two renewals of a grant in use, in seconds. */
const RENEWAL = 7 * 86_400;

/** Longest time in seconds for which a request waits for a person on another device. */
export const QUESTION_LIFE = 600;

/**
 * Seconds for which the record of an expired request is kept, so that a late poll gets `expired_token` (RFC 8628 §3.5,
 * CIBA Core §11).
 */
export const EXPIRED_QUESTION_LIFE = 600;

/** Lifetimes of the engine's records and tokens, in seconds. */
export function lifetimes(
  { tokens, sessions }: Pick<Config, 'tokens' | 'sessions'>,
  clock: Clock,
): NonNullable<Configuration['ttl']> {
  return {
    AccessToken: (_context, token) => token.resourceServer?.accessTokenTTL ?? tokens.access_token,
    ClientCredentials: (_context, token) => token.resourceServer?.accessTokenTTL ?? tokens.access_token,
    DeviceCode: QUESTION_LIFE,
    BackchannelAuthenticationRequest: ({ oidc }) =>
      Math.min(QUESTION_LIFE, Number(oidc.params?.['requested_expiry'] ?? QUESTION_LIFE)),
    AuthorizationCode: (_context, _code, client) =>
      Math.min(tokens.authorization_code, rulesOf(client).codeLife ?? Infinity),
    IdToken: tokens.id_token,
    Interaction: tokens.interaction,
    // Each rotation starts a new lifetime, but no token outlives its family.
    RefreshToken: (_context, token) => {
      const age = epochSeconds(clock) - (token.iiat ?? epochSeconds(clock));
      return Math.max(1, Math.min(tokens.refresh_token, tokens.refresh_family - age));
    },
    Grant: grantLife(tokens),
    Session: (_context, session) => {
      if (session.accountId === undefined) return anonymousLife(session, tokens.interaction, clock);
      return session.transient === true ? sessions.default : sessions.remembered;
    },
  };
}

/**
 * Returns the remaining seconds of a session without sign-in. Using such a session does not extend it, because anybody
 * can create any number of them.
 */
function anonymousLife({ iat }: { iat?: number }, longest: number, clock: Clock): number {
  const now = epochSeconds(clock);
  return Math.max(1, (iat ?? now) + longest - now);
}
