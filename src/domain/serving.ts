import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { openApprovals } from '../accounts/approvals.ts';
import { openSubjectNames, SUBJECT_NAMES, type SubjectNames } from '../accounts/pairwise.ts';
import { longestAccessToken } from '../config/sections/longest-token.ts';
import type { Config } from '../config/schema.ts';
import { openCredentials, type Credentials } from '../credentials/credentials.ts';
import { announceTo, type Announce } from '../events/events.ts';
import { jwtBearer } from '../grants/jwt-bearer/jwt-bearer.ts';
import { refreshGrant } from '../grants/refresh/refresh-grant.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import type { Random } from '../lib/random.ts';
import { backchannelRequests } from '../oidc/backchannel-requests.ts';
import { mutualTls } from '../oidc/clients/client-certificates.ts';
import { openSecretGuesses } from '../oidc/clients/secret-guesses.ts';
import { backChannelLogout, type BackChannelLogout } from '../oidc/logout/back-channel-logout.ts';
import { accountLookup } from '../oidc/requests/request-account.ts';
import type { KeySets } from '../outgoing/key-sets.ts';
import { openOutgoing, type Outgoing } from '../outgoing/outgoing.ts';
import { openRegistration, type Registration } from '../registration/registration.ts';
import { SIGNAL_RECEIVERS } from '../signals/push.ts';
import type { SignSet } from '../signals/security-event-token.ts';
import { openTransmitter, type Transmitter } from '../signals/signals.ts';
import type { SigningDependencies } from '../status/signed-list.ts';
import { openStatus, type TokenStatus } from '../status/status.ts';
import type { Stores } from '../storage/open-stores.ts';
import { AnsweredForms } from '../forms/answered-forms.ts';
import { csrfTokens } from '../http/csrf.ts';
import { logoAddresses } from '../http/logo-address.ts';
import { loadViews } from '../http/view.ts';
import type { Clock } from '../lib/clock.ts';
import { Interactions } from '../oidc/storage/interactions.ts';
import { pendingRequests } from '../oidc/storage/pending-requests.ts';
import type { Store } from '../storage/store.ts';
import { openDomain, warningOf, type Domain } from './domain.ts';

interface ServingOptions {
  config: Config;
  stores: Stores;
  random: Random;
  log: Logger;
  ring: KeyRing;
  sign: Signers;
  /** Collects everything that must be closed, even if a later step fails to open. The stores stay open. */
  opening: AsyncDisposableStack;
}

/** Functions that sign the JWTs that the engine does not make, with the current keys. */
export interface Signers {
  list: SigningDependencies['sign'];
  event: SignSet;
}

/** The domain, together with the parts of a server that outlive a change of keys. */
export type ServingDomain = Awaited<ReturnType<typeof openServingDomain>>;

/** @throws StoreUnavailable, or ConfigError if a configured account's password is too easy to guess */
export async function openServingDomain({ config, stores, random, log, ring, sign, opening }: ServingOptions) {
  const { grants, clock } = stores;
  const announce = announceTo(log);
  const logouts = openLogouts(stores, { announce, log });
  opening.defer(() => logouts.close());
  const status = await openStatusLists({ config, stores, random, log, sign });
  opening.defer(() => status.close());
  // Derived keys depend only on the ring's root, which never changes.
  const secrets = ring.current();
  const server = { announce, log, logouts, learn: status.learn };
  const domain = openDomain({ config, stores, random, keys: () => Promise.resolve(ring.current()), server });
  const credentials = await openSignIn(domain, secrets, log);
  const { accounts, clients, issuers } = domain;
  const subjectNames = openSubjectNames(secrets.derive(SUBJECT_NAMES));
  const approvals = openApprovals({ grants, clock, random, key: secrets.derive('approvals') });
  const transmitter = openDelivery(domain, { announce, log, subjectNames, secrets, sign: sign.event });
  opening.defer(() => transmitter.close());
  opening.defer(() => domain.revocations.close());
  opening.defer(() => domain.passwords.close());
  const outgoing = openCalls({ config, stores, log });
  const { keySets } = outgoing.ofOperator;
  const { issuer, resources, ciba: limits } = config;
  return {
    domain,
    announce,
    logouts,
    status,
    credentials,
    subjectNames,
    accountOf: accountLookup(accounts),
    approvals,
    backchannel: backchannelRequests({ accounts, subjectNames, approvals, resources, limits, grants, announce, clock }),
    transmitter,
    outgoing,
    registration: openSelfRegistration(domain, { announce, log, keySets }),
    refresh: refreshGrant({ grants, clock, random, window: config.tokens.refresh_window }),
    jwtBearer: jwtBearer({ issuer, issuers, accounts, grants, keySets, clock, announce }).grant,
    // The file is read only once, because the engine must be rebuilt for new keys even if the file disappears.
    mTLS: mutualTls(config.listen, clock),
    secretGuesses: openSecretGuesses({ clients, grants, clock, announce }),
    pages: openPages({ config, grants, clock, random, log, secrets, knownBrowser: credentials.knownBrowser }),
    /** Ends requests that wait for events, so that the server can shut down. */
    release() {
      status.streams.close();
      transmitter.release();
    },
  };
}

/** Ways to inform the operator. */
interface Reporting {
  announce: Announce;
  log: Logger;
}

function openLogouts({ grants, clock }: Stores, { announce, log }: Reporting): BackChannelLogout {
  const reportFailure = warningOf(log, 'an app cannot currently be notified of a logout');
  return backChannelLogout({ grants, announce, clock, reportFailure });
}

function openStatusLists({
  config,
  stores: { grants, clock },
  random,
  log,
  sign,
}: Omit<ServingOptions, 'ring' | 'opening'>): Promise<TokenStatus> {
  return openStatus({
    grants,
    clock,
    random,
    sign: sign.list,
    issuer: config.issuer,
    ttl: config.status_lists.ttl,
    longest: longestAccessToken(config),
    reportFailure: warningOf(log, 'the status lists cannot currently be compared with the store'),
  });
}

async function openSignIn(domain: Domain, secrets: RingSnapshot, log: Pick<Logger, 'error'>): Promise<Credentials> {
  const { config, accounts, passwords, grants, clock, random } = domain;
  const deviceKey = secrets.derive('known devices');
  const attemptKey = secrets.derive('attempts to sign in');
  const credentials = openCredentials({ config, accounts, passwords, grants, clock, random, deviceKey, attemptKey });
  await credentials.makeSeedAccounts(config.accounts, (err) =>
    log.error({ err, account: err.account }, 'an account of the configuration cannot be read, and stays as it is'),
  );
  return credentials;
}

/** Delivers the account events that the domain queues, and those that follow from revocations. */
function openDelivery(
  { config, grants, accounts, clients, clock, random, signals, revocations }: Domain,
  {
    announce,
    log,
    subjectNames,
    secrets,
    sign,
  }: Reporting & {
    subjectNames: SubjectNames;
    secrets: RingSnapshot;
    sign: SignSet;
  },
): Transmitter {
  const transmitter = openTransmitter({
    signals,
    config,
    grants,
    accounts,
    clients,
    subjectNames,
    announce,
    clock,
    random,
    sign,
    sealingKey: secrets.derive(SIGNAL_RECEIVERS).toString('base64url'),
    reportFailure: warningOf(log, 'signals cannot currently be delivered; they are kept and retried'),
  });
  revocations.onRevoked(transmitter.revoked);
  return transmitter;
}

/** Opens outgoing requests. A failure that strangers can cause does not warn the operator. */
function openCalls({ config, stores, log }: Pick<ServingOptions, 'config' | 'stores' | 'log'>): Outgoing {
  const { allow, ca } = config.outgoing;
  return openOutgoing({
    allow,
    ca,
    clock: stores.clock,
    reportFailure: ({ isOfOperator, ...failure }) => {
      if (isOfOperator) log.warn(failure, 'a set of public keys cannot currently be fetched');
      else log.info({ address: failure.address, reason: String(failure.err) }, 'the keys of an app cannot be fetched');
    },
  });
}

function openSelfRegistration(
  { config, records, grants, invitations, revoke, clock, random }: Domain,
  { announce, log, keySets }: Reporting & { keySets: KeySets },
): Registration {
  return openRegistration({
    config,
    records,
    grants,
    invitations,
    announce,
    revoke,
    clock,
    random,
    keySets,
    reportFailure: warningOf(log, 'the lifetime of a client could not be extended; its next use tries again'),
  });
}

const VIEWS = fileURLToPath(new URL('../../views', import.meta.url));

interface PagesOptions {
  config: Config;
  grants: Store;
  clock: Clock;
  random: Random;
  log: Pick<Logger, 'warn'>;
  secrets: RingSnapshot;
  knownBrowser: Credentials['knownBrowser'];
}

/** Page templates, and the records that bind an interaction or a form to one browser and one answer. */
function openPages({ config, grants, clock, random, log, secrets, knownBrowser }: PagesOptions) {
  const pending = pendingRequests({ grants, clock, knownBrowser, limits: config.pending_requests });
  const reportFailure = warningOf(log, 'a finished sign-in counts as pending for some more minutes');
  const logos = logoAddresses(secrets.derive('logos'));
  return {
    views: loadViews({ directory: VIEWS, brand: config.branding.name, logoPath: logos.pathOf }),
    logos,
    csrf: csrfTokens(secrets.derive('csrf'), random),
    forms: new AnsweredForms(grants, random),
    pending,
    interactions: new Interactions({ grants, clock, random, pending, reportFailure }),
  };
}
