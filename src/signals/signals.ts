import type { Accounts } from '../accounts/accounts.ts';
import type { Consents } from '../accounts/consents.ts';
import type { SubjectNames } from '../accounts/pairwise.ts';
import type { Clients } from '../clients/clients.ts';
import type { Config } from '../config/schema.ts';
import type { Announce, Revoked } from '../events/events.ts';
import { answeringRefusals } from '../http/refusal.ts';
import { type Route, route, unsecured } from '../http/route.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { outgoingFetch, whyNotCalled } from '../outgoing/outgoing-fetch.ts';
import type { Store } from '../storage/store.ts';
import { startDelivery } from './deliver.ts';
import { managementRoutes } from './management.ts';
import type { AccountEvent } from './account-event.ts';
import { Outbox } from './outbox.ts';
import { pollRoute, openWaiting, type Waiting } from './poll.ts';
import { publish, reachOf } from './publish.ts';
import { push, sealFor } from './push.ts';
import { receiverGuard, type FindToken } from './receiver.ts';
import type { SignSet } from './security-event-token.ts';
import { statusRoutes } from './stream-status.ts';
import { openStreams, type Streams, POLL, PUSH } from './streams.ts';
import { openSubjects, type Subjects } from './subjects.ts';
import { subjectRoutes } from './subject-endpoints.ts';
import { accountEventsOf } from './revocation-events.ts';

/** Publishes account events to receivers. It needs nothing but the stores, so that commands can use it. */
export interface Signals {
  publish: (event: AccountEvent) => Promise<void>;
  /** Records that an account has given a client access. */
  introduce: (account: string, client: string) => Promise<void>;
  readonly streams: Streams;
  readonly subjects: Subjects;
  readonly outbox: Outbox;
}

interface SignalsOptions {
  config: Config;
  records: Store;
  grants: Store;
  clients: Clients;
  consents: Consents;
  announce: Announce;
  clock: Clock;
  random: Random;
}

export function openSignals(options: SignalsOptions): Signals {
  const { config, records, grants, clients, consents, announce, clock, random } = options;
  const subjects = openSubjects(records);
  const streams = openStreams({ records, clock, random });
  const outbox = new Outbox({ grants, clock });
  const publishing = { config, clients, consents, subjects, streams, outbox, announce, clock, random };
  const isOn = config.shared_signals.enabled;
  return {
    streams,
    subjects,
    outbox,
    publish: (event) => publish(publishing, event),
    async introduce(account, client) {
      if (isOn && (await reachOf({ clients }, client)) !== undefined) await subjects.introduce(account, client);
    },
  };
}

/** Delivers account events from a running server, and serves the receivers' endpoints. */
export interface Transmitter {
  /** Publishes the account events of a revocation; repeated calls change nothing. */
  revoked: (revoked: Revoked) => Promise<void>;
  routes(findToken: FindToken): Route[];
  /** Starts the delivery, once the server can sign events. @throws StoreUnavailable */
  start(): Promise<void>;
  /** Ends all long polls, so that a shutdown need not wait for them. */
  release(): void;
  /** Stops the delivery, and waits for current pushes. */
  close(): Promise<void>;
}

interface TransmitterOptions {
  signals: Signals;
  config: Config;
  grants: Store;
  accounts: Accounts;
  clients: Clients;
  subjectNames: SubjectNames;
  announce: Announce;
  clock: Clock;
  random: Random;
  sign: SignSet;
  /** Secret derived from the key ring. It seals the authorization headers of receivers. */
  sealingKey: string;
  reportFailure: (error: unknown) => void;
}

export function openTransmitter(options: TransmitterOptions): Transmitter {
  const { signals, config, grants, accounts } = options;
  if (!config.shared_signals.enabled) return OFF;
  const waiting = openWaiting();
  const stops: (() => Promise<void>)[] = [];
  return {
    async start() {
      stops.push(await deliver(options));
      stops.push(await signals.outbox.onNotice((stream) => waiting.wake(stream)));
    },
    async revoked(revoked) {
      for await (const event of accountEventsOf(revoked, { accounts, grants })) await signals.publish(event);
      const { target } = revoked;
      if (target.what === 'consent') await signals.subjects.withdraw(target.account, target.client);
    },
    routes: (findToken) => routes(options, waiting, findToken),
    release: () => {
      waiting.end();
    },
    async close() {
      for (const stop of stops.toReversed()) await stop();
    },
  };
}

const OFF: Transmitter = {
  revoked: () => Promise.resolve(),
  start: () => Promise.resolve(),
  routes: () => [],
  release: () => undefined,
  close: () => Promise.resolve(),
};

/** Starts the delivery. @returns a function that stops it */
function deliver(options: TransmitterOptions): Promise<() => Promise<void>> {
  const { signals, config, grants, clients, subjectNames, announce, clock, random, sign, sealingKey, reportFailure } =
    options;
  const { streams, outbox } = signals;
  const fetch = outgoingFetch(config.outgoing);
  const pushing = { issuer: config.issuer, clients, subjectNames, fetch, sign, sealingKey };
  return startDelivery({
    grants,
    streams,
    outbox,
    announce,
    clock,
    random,
    mayReceive: async (client) => (await reachOf({ clients }, client)) !== undefined,
    push: (stream, signal) => push(pushing, stream, signal),
    reportFailure,
  });
}

function routes(options: TransmitterOptions, waiting: Waiting, findToken: FindToken): Route[] {
  const { config, signals, grants, accounts, clients, subjectNames, announce, clock, random, sign, sealingKey } =
    options;
  const { issuer } = config;
  const { streams, subjects, outbox } = signals;
  const guard = receiverGuard({ clients, findToken });
  const management = {
    issuer,
    streams,
    subjects,
    outbox,
    guard,
    seal: (url: string, text: string) => sealFor(url, text, { sealingKey, random }),
    whyNotCalled: (url: string) => whyNotCalled(url, config.outgoing.allow),
    announce,
  };
  const forReceivers = [
    ...managementRoutes(management),
    ...statusRoutes({ streams, outbox, guard, announce, grants, clock, random }),
    ...subjectRoutes({ issuer, streams, subjects, guard, accounts, clients, subjectNames }),
    pollRoute({ issuer, streams, outbox, waiting, guard, clients, subjectNames, sign, announce, clock }),
  ];
  return [metadataRoute(config), ...forReceivers.map((one) => ({ ...one, handle: answeringRefusals(one.handle) }))];
}

/** Route for the transmitter configuration metadata (Shared Signals Framework 1.0 §7). */
function metadataRoute({ issuer, shared_signals: signals, keys }: Config): Route {
  const metadata = {
    spec_version: '1_0',
    issuer,
    jwks_uri: `${issuer}/jwks`,
    delivery_methods_supported: [PUSH, POLL],
    configuration_endpoint: `${issuer}/ssf/streams`,
    status_endpoint: `${issuer}/ssf/status`,
    add_subject_endpoint: `${issuer}/ssf/subjects/add`,
    remove_subject_endpoint: `${issuer}/ssf/subjects/remove`,
    verification_endpoint: `${issuer}/ssf/verification`,
    authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6749' }],
    default_subjects: signals.default_subjects,
  };
  return route('GET', '/.well-known/ssf-configuration', unsecured, (context) => {
    context.set({ 'Cache-Control': `public, max-age=${keys.jwks_max_age}`, 'Access-Control-Allow-Origin': '*' });
    context.body = metadata;
  });
}
