import type { Configuration } from 'oidc-provider';
import type { Config } from '../config/schema.ts';
import { epochSeconds, type Clock } from '../lib/clock.ts';
import { rulesOf } from './clients/client-metadata.ts';

/**
 * Nothing outlives its grant. So a grant must outlive a token family that begins on the last day before the grant is
 * renewed.
 */
export function grantLife({ refresh_family }: Pick<Config['tokens'], 'refresh_family'>): number {
  return refresh_family + RENEWAL;
}

/** Shortest time between two renewals of a grant in use, in seconds. */
const RENEWAL = 7 * 86_400;

/** Longest time for which a request may wait for a person on another device, in seconds. */
export const QUESTION_LIFE = 600;

/**
 * Seconds for which a record outlives its request, so that a late poll gets `expired_token` (RFC 8628 §3.5, CIBA Core
 * §11).
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
    // A rotated refresh token starts a new life, but the family ends at its own time.
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

/** Anybody can get any number of sessions without sign-in, so their use does not extend them. */
function anonymousLife({ iat }: { iat?: number }, longest: number, clock: Clock): number {
  const now = epochSeconds(clock);
  return Math.max(1, (iat ?? now) + longest - now);
}
