import { fileURLToPath } from 'node:url';
import type { Accounts } from '../accounts/accounts.ts';
import { CLIENT_SECRETS, openClients, type Clients } from '../clients/clients.ts';
import type { Config } from '../config/schema.ts';
import { announceTo, type Announce } from '../events/events.ts';
import type { Revoke } from '../events/revocations.ts';
import type { Credentials } from '../credentials/credentials.ts';
import { AnsweredForms } from '../forms/answered-forms.ts';
import { refreshGrant } from '../grants/refresh/refresh-grant.ts';
import { admission } from '../host/admission.ts';
import { csrfTokens } from '../http/csrf.ts';
import { logoAddresses } from '../http/logo-address.ts';
import { loadViews } from '../http/view.ts';
import { jwtBearer } from '../grants/jwt-bearer/jwt-bearer.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import { mutualTls } from '../oidc/clients/client-certificates.ts';
import { openSecretGuesses } from '../oidc/clients/secret-guesses.ts';
import { Interactions } from '../oidc/storage/interactions.ts';
import { pendingRequests } from '../oidc/storage/pending-requests.ts';
import type { KeySets } from '../outgoing/key-sets.ts';
import { openOutgoing, type Outgoing } from '../outgoing/outgoing.ts';
import { openRegistration } from '../registration/registration.ts';
import type { SigningParts } from '../status/signed-list.ts';
import type { SignSet } from '../signals/security-event-token.ts';
import { openTransmitter } from '../signals/signals.ts';
import type { Base } from './base.ts';
import { openPeople } from './people.ts';
import { openLists, takingBack } from './taking-back.ts';

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
  const status = await openLists(base, sign.list);
  const takenBack = takingBack(base, { ...people, clients, announce, status });
  const { revoke } = takenBack.revocations;
  const signals = openTransmitter({
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
  const outgoing = openCalls(base);
  const logos = logoAddresses(secrets.derive('logos'));
  const { keySets } = outgoing.ofOperator;
  return {
    announce,
    outgoing,
    logos,
    ...people,
    clients,
    ...takenBack,
    revoke,
    signals,
    registration: selfRegistration(base, { announce, revoke, keySets }),
    refresh: refreshGrant({ grants, clock, random, window: config.tokens.refresh_window }),
    grantTypes: ownGrants(base, { accounts: people.accounts, announce, keySets }),
    // Read once: a file that is gone later must not keep the engine from being built for new keys.
    mTLS: mutualTls(config.listen, clock),
    secretGuesses: openSecretGuesses({ clients, grants, clock, announce }),
    ...openForms(base, secrets, people.credentials.knownBrowser),
    views: loadViews({ directory: VIEWS, brand: config.branding.name, logoPath: logos.pathOf }),
    admit: admissionOf(config),
    status,
  };
}

/** A fault that a stranger can cause is no warning for the operator. */
function openCalls({ config, clock, log }: Base): Outgoing {
  return openOutgoing({
    ...config.outgoing,
    clock,
    reportFailure: ({ isOfOperator, ...failure }) => {
      if (isOfOperator) log.warn(failure, 'a set of public keys cannot be fetched for now');
      else log.info({ address: failure.address, reason: String(failure.err) }, 'the keys of an app cannot be fetched');
    },
  });
}

/** Interactions and forms, each tied to a browser and answered once. */
function openForms(
  { config, stores: { grants }, clock, random, log }: Base,
  secrets: RingSnapshot,
  knownBrowser: Credentials['knownBrowser'],
) {
  const pending = pendingRequests({ grants, clock, knownBrowser, limits: config.pending_requests });
  return {
    csrf: csrfTokens(secrets.derive('csrf'), random),
    forms: new AnsweredForms(grants, random),
    pending,
    interactions: new Interactions({
      ...{ grants, clock, random, pending },
      reportFailure(err) {
        log.warn({ err }, 'a sign-in that has ended is counted as waiting for some minutes');
      },
    }),
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

function admissionOf({ issuer, listen }: Config) {
  return admission({
    issuer,
    aliases: aliasesOf(listen),
    trustedProxies: listen.trusted_proxies,
    certificateHeader: listen.client_certificates?.header,
  });
}

/** Hosts that requests may name besides the issuer's. */
function aliasesOf({ aliases, client_certificates: certificates }: Config['listen']): string[] {
  return certificates?.url === undefined ? aliases : [...aliases, new URL(certificates.url).host];
}

/** The grant types of ours that do not change with the keys. */
function ownGrants(
  { config, stores, ...base }: Base,
  domain: { accounts: Accounts; announce: Announce; keySets: KeySets },
) {
  const { grant } = jwtBearer({
    ...base,
    ...stores,
    ...domain,
    config,
  });
  return [grant];
}

function selfRegistration(
  { stores, log, ...base }: Base,
  domain: { announce: Announce; revoke: Revoke; keySets: KeySets },
) {
  return openRegistration({
    ...base,
    ...stores,
    ...domain,
    reportFailure: (err) => {
      log.warn({ err }, 'a client in use could not be renewed; its next use tries again');
    },
  });
}
