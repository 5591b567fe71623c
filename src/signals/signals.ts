import type { Context } from 'koa';
import type { Accounts } from '../accounts/accounts.ts';
import type { Consents } from '../accounts/consents.ts';
import type { SubjectNames } from '../accounts/pairwise.ts';
import type { Clients } from '../clients/clients.ts';
import type { Config } from '../config/schema.ts';
import type { Announce } from '../events/events.ts';
import type { Revoked } from '../events/revocations.ts';
import type { Route } from '../http/route.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { outgoingFetch, whyNotCalled } from '../outgoing/outgoing-fetch.ts';
import type { Store } from '../storage/store.ts';
import { startDelivery } from './deliver.ts';
import { managementRoutes } from './management.ts';
import { metadataRoute } from './metadata.ts';
import type { AccountEvent } from './account-event.ts';
import { openOutbox } from './outbox.ts';
import { pollRoute } from './poll.ts';
import { publish, reachOf, type PublishParts } from './publish.ts';
import { push, sealFor } from './push.ts';
import { openQueues } from './queues.ts';
import { receiverGuard, type FindToken } from './receiver.ts';
import { answerRefusal, Refusal } from './refusal.ts';
import type { SignSet } from './security-event-token.ts';
import { statusRoutes } from './stream-status.ts';
import { openStreams } from './streams.ts';
import { openSubjects } from './subjects.ts';
import { subjectRoutes } from './subject-endpoints.ts';
import { accountEventsOf } from './account-events-of-revocation.ts';
import { openWaiting } from './waiting.ts';

/** Publishes account events to receivers. It works on the stores alone, so that commands can use it. */
export interface Signals {
  publish: (event: AccountEvent) => Promise<void>;
  /** Records that an account has given a client access. */
  introduce: (account: string, client: string) => Promise<void>;
}

export interface SignalsParts {
  config: Config;
  records: Store;
  grants: Store;
  clients: Clients;
  consents: Consents;
  announce: Announce;
  clock: Clock;
  random: Random;
}

export function openSignals(parts: SignalsParts): Signals {
  return signalsOf(open(parts));
}

type Opened = PublishParts & { grants: Store };

function open(parts: SignalsParts): Opened {
  const queues = openQueues(parts);
  const subjects = openSubjects(parts.records);
  return { ...parts, streams: openStreams(parts), subjects, queues, outbox: openOutbox({ ...parts, queues }) };
}

function signalsOf(parts: PublishParts): Signals {
  const { config, clients, subjects } = parts;
  const isOn = config.shared_signals.enabled;
  return {
    publish: (event) => publish(parts, event),
    async introduce(account, client) {
      if (isOn && (await reachOf({ clients }, client)) !== undefined) await subjects.introduce(account, client);
    },
  };
}

/** A server's transmitter: besides telling, it delivers. */
export interface Transmitter extends Signals {
  /** Tells what a revocation means for accounts; may be called any number of times. */
  revoked: (revoked: Revoked) => Promise<void>;
  routes(findToken: FindToken): Route[];
  /** Begins to deliver, also what waits from before; to be called once events can be signed. @throws StoreUnavailable */
  start(): Promise<void>;
  /** Lets receivers that wait go; to be called before the server waits for its requests to end. */
  release(): void;
  /** Lets what is being pushed end. */
  close(): Promise<void>;
}

export function openTransmitter(
  parts: SignalsParts & {
    accounts: Accounts;
    subjectNames: SubjectNames;
    sign: SignSet;
    /** Of the ring; seals what receivers want to be shown. */
    sealingKey: string;
    reportFailure: (error: unknown) => void;
  },
): Transmitter {
  const opened = { ...parts, ...open(parts), waiting: openWaiting() };
  const { config, queues, waiting, sign, sealingKey } = opened;
  const { issuer } = config;
  const fetch = outgoingFetch(config.outgoing);
  if (!config.shared_signals.enabled) return { ...signalsOf(opened), ...asleep };
  const stops: (() => Promise<void>)[] = [];
  return {
    ...signalsOf(opened),
    async start() {
      const delivery = startDelivery({
        ...opened,
        mayReceive: async (client) => (await reachOf(opened, client)) !== undefined,
        push: (stream, signal) => push({ ...opened, issuer, fetch, sign, sealingKey }, stream, signal),
      });
      stops.push(await delivery);
      stops.push(await queues.onHint((stream) => waiting.wake(stream)));
    },
    async revoked(revoked) {
      for await (const event of accountEventsOf(revoked, opened)) await publish(opened, event);
      const { target } = revoked;
      if (target.what === 'consent') await opened.subjects.part(target.account, target.client);
    },
    routes: (findToken) => routes({ ...opened, issuer, findToken }),
    release: () => {
      waiting.end();
    },
    async close() {
      for (const stop of stops.toReversed()) await stop();
    },
  };
}

const asleep: Omit<Transmitter, keyof Signals> = {
  revoked: () => Promise.resolve(),
  start: () => Promise.resolve(),
  routes: () => [],
  release: () => undefined,
  close: () => Promise.resolve(),
};

function routes(
  opened: Opened & {
    accounts: Accounts;
    subjectNames: SubjectNames;
    waiting: ReturnType<typeof openWaiting>;
    issuer: string;
    sealingKey: string;
    sign: SignSet;
    findToken: FindToken;
  },
): Route[] {
  const { config, random, sealingKey } = opened;
  const parts = {
    ...opened,
    guard: receiverGuard(opened),
    seal: (url: string, text: string) => sealFor(url, text, { sealingKey, random }),
    whyNotCalled: (url: string) => whyNotCalled(url, config.outgoing.allow),
  };
  const forReceivers = [...managementRoutes(parts), ...statusRoutes(parts), ...subjectRoutes(parts), pollRoute(parts)];
  return [metadataRoute(config), ...forReceivers.map((one) => ({ ...one, handle: answering(one.handle) }))];
}

/** Every answer, also a refusal, is for who asked alone. */
function answering(handle: Route['handle']): Route['handle'] {
  return async (context: Context) => {
    context.set('Cache-Control', 'no-store');
    try {
      await handle(context);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answerRefusal(context, error);
    }
  };
}
