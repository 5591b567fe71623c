import { fileURLToPath } from 'node:url';
import { openAccounts, type Accounts } from '../accounts/accounts.ts';
import { openApprovals } from '../accounts/approvals.ts';
import { openConsents } from '../accounts/consents.ts';
import { CLIENT_SECRETS, openClients, type Clients } from '../clients/clients.ts';
import { longestAccessToken } from '../config/longest-token.ts';
import type { Config } from '../config/schema.ts';
import { openCredentials } from '../credentials/credentials.ts';
import { announceTo, type Announce } from '../events/events.ts';
import type { Revoke } from '../events/revocations.ts';
import { refreshGrant } from '../grants/refresh/refresh-grant.ts';
import { admission } from '../host/admission.ts';
import { csrfTokens } from '../http/csrf.ts';
import { loadViews } from '../http/view.ts';
import { jwtBearer } from '../grants/jwt-bearer/jwt-bearer.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import { mutualTls } from '../oidc/clients/client-certificates.ts';
import { backChannelLogout } from '../oidc/logout/back-channel-logout.ts';
import { backchannelRequests } from '../oidc/backchannel-requests.ts';
import { accountLookup } from '../oidc/requests/request-account.ts';
import { grantLife } from '../oidc/lifetimes.ts';
import { outgoingFetch } from '../outgoing/outgoing-fetch.ts';
import { openRegistration } from '../registration/registration.ts';
import { personEndings } from '../revocation/endings.ts';
import { Revocations } from '../revocation/revocations.ts';
import { openTokens } from '../revocation/tokens.ts';
import type { SigningParts } from '../status/signed-list.ts';
import { openStatus, type TokenStatus } from '../status/status.ts';
import type { SignSet } from '../signals/security-event-token.ts';
import { openTransmitter } from '../signals/signals.ts';
import type { Base } from './base.ts';

const VIEWS = fileURLToPath(new URL('../../views', import.meta.url));

/** What does not change with the keys: the domain's parts, opened once. */
export type Domain = Awaited<ReturnType<typeof openDomain>>;

/** Signs what is not the engine's, with the keys that sign at that moment. */
export interface Signers {
  list: SigningParts['sign'];
  event: SignSet;
}

export async function openDomain(base: Base, ring: KeyRing, sign: Signers) {
  const { config, stores, log, clock, random } = base;
  const { grants } = stores;
  const secrets = ring.current();
  const announce = announceTo(log);
  const people = await openPeople(base, secrets, announce);
  const clients = openClientRegistry(base, secrets);
  const takenBack = takingBack(base, { ...people, clients, announce });
  const { revoke } = takenBack.revocations;
  const signals = await openTransmitter({
    ...base,
    ...stores,
    ...people,
    clients,
    announce,
    sign: sign.event,
    sealingKey: secrets.derive('signal receivers').toString('base64url'),
    reportFailure: (err) => {
      log.warn({ err }, 'signals cannot be delivered for now; they wait');
    },
  });
  takenBack.revocations.onRevoked(signals.revoked);
  return {
    announce,
    ...people,
    clients,
    ...takenBack,
    revoke,
    signals,
    registration: selfRegistration(base, { announce, revoke }),
    refresh: refreshGrant({ grants, clock, random, window: config.tokens.refresh_window }),
    grantTypes: ownGrants(base, { accounts: people.accounts, announce }),
    // Read once: a file that is gone later must not keep the engine from being built for new keys.
    mTLS: mutualTls(config.listen, clock),
    csrf: csrfTokens(secrets.derive('csrf')),
    views: loadViews({ directory: VIEWS, brand: config.branding.name }),
    admit: admission({
      issuer: config.issuer,
      aliases: aliasesOf(config.listen),
      trustedProxies: config.listen.trusted_proxies,
      certificateHeader: config.listen.client_certificates?.header,
    }),
    status: await openLists(base, sign.list),
  };
}

/** Where JWT access tokens stand, and are taken back. */
function openLists({ config, stores, log, clock, random }: Base, sign: SigningParts['sign']): Promise<TokenStatus> {
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

type People = Awaited<ReturnType<typeof openPeople>>;

/** What ends things, and tells the apps of it. */
function takingBack(
  { config, stores, log, clock, random }: Base,
  { announce, ...domain }: People & { clients: Clients; announce: Announce },
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
    tokens: openTokens({ grants, clock, issuer: config.issuer }),
    cutLife: grantLife(config.tokens),
    server: { announce, logouts, reportFailure },
  });
  const { revoke } = revocations;
  const endings = personEndings({ ...domain, revoke, passwords: domain.credentials.passwords });
  return { logouts, revocations, endings };
}

/** Who signs in, by what, what they allow, and what they are asked while they are elsewhere. */
async function openPeople({ config, stores, clock, random }: Base, secrets: RingSnapshot, announce: Announce) {
  const { records, grants } = stores;
  const accounts = openAccounts({ records, clock, random });
  const deviceKey = secrets.derive('known devices');
  const credentials = openCredentials({ config, accounts, records, grants, clock, random, deviceKey });
  await credentials.makeSeedAccounts(config.accounts);
  const approvals = openApprovals({ grants, clock, random, key: secrets.derive('approvals') });
  const { resources } = config;
  return {
    accounts,
    credentials,
    approvals,
    backchannel: backchannelRequests({ accounts, approvals, resources, grants, announce, clock }),
    accountOf: accountLookup(accounts),
    consents: openConsents(records),
  };
}

function openClientRegistry({ config, stores, random }: Base, secrets: RingSnapshot): Clients {
  return openClients({
    records: stores.records,
    configured: config.clients,
    random,
    sealingKey: () => Promise.resolve(secrets.derive(CLIENT_SECRETS).toString('base64url')),
  });
}

/** Hosts that requests may name besides the issuer's. */
function aliasesOf({ aliases, client_certificates: certificates }: Config['listen']): string[] {
  return certificates?.url === undefined ? aliases : [...aliases, new URL(certificates.url).host];
}

/** The grant types of ours that do not change with the keys. */
function ownGrants({ config, stores, log, ...base }: Base, domain: { accounts: Accounts; announce: Announce }) {
  const { grant } = jwtBearer({
    ...base,
    ...stores,
    ...domain,
    config,
    fetch: outgoingFetch(config.outgoing),
    reportFailure: (address, err) => {
      log.warn({ err, address }, "a trusted issuer's keys cannot be fetched for now");
    },
  });
  return [grant];
}

function selfRegistration({ stores, log, ...base }: Base, domain: { announce: Announce; revoke: Revoke }) {
  return openRegistration({
    ...base,
    ...stores,
    ...domain,
    fetch: outgoingFetch(base.config.outgoing),
    reportFailure: (err) => {
      log.warn({ err }, 'a client in use could not be renewed; its next use tries again');
    },
  });
}
