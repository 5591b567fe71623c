import type { Clients } from '../clients/clients.ts';
import { longestAccessToken } from '../config/longest-token.ts';
import type { Announce } from '../events/events.ts';
import { grantLife } from '../oidc/lifetimes.ts';
import { backChannelLogout } from '../oidc/logout/back-channel-logout.ts';
import { personEndings } from '../revocation/operations.ts';
import { Revocations } from '../revocation/revocations.ts';
import { openTokens } from '../revocation/tokens.ts';
import type { SigningParts } from '../status/signed-list.ts';
import { openStatus, type TokenStatus } from '../status/status.ts';
import type { Base } from './base.ts';
import type { People } from './people.ts';

/** What ends things, and tells the apps of it. */
export function takingBack(
  { config, stores, log, clock, random }: Base,
  { announce, status, ...domain }: People & { clients: Clients; announce: Announce; status: TokenStatus },
) {
  const { grants } = stores;
  const logouts = backChannelLogout({
    grants,
    announce,
    clock,
    reportFailure: (err) => {
      log.warn({ err }, 'an app cannot be told of a logout for now');
    },
  });
  const reportFailure = (err: unknown): void => {
    log.warn({ err }, 'a revocation could not be brought to its end; it is tried again');
  };
  const revocations = new Revocations({
    ...domain,
    ...{ grants, clock, random },
    tokens: openTokens({ grants, clock, issuer: config.issuer, learn: status.learn }),
    cutLife: grantLife(config.tokens),
    server: { announce, logouts, reportFailure },
  });
  const { revoke } = revocations;
  const endings = personEndings({ ...domain, revoke, passwords: domain.credentials.passwords });
  return { logouts, revocations, endings };
}

/** Where JWT access tokens stand, and are taken back. */
export function openLists(
  { config, stores, log, clock, random }: Base,
  sign: SigningParts['sign'],
): Promise<TokenStatus> {
  return openStatus({
    grants: stores.grants,
    clock,
    random,
    sign,
    issuer: config.issuer,
    ttl: config.status_lists.ttl,
    longest: longestAccessToken(config),
    reportFailure: (err) => {
      log.warn({ err }, 'the status lists cannot be compared with the store for now');
    },
  });
}
