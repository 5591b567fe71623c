import type { Consents } from '../accounts/consents.ts';
import type { Clients } from '../clients/clients.ts';
import type { Config } from '../config/schema.ts';
import { uriOf, type Reach, nameOf, signalsFor, type AccountEvent } from './account-event.ts';
import { pauseIfStalled, type StallDependencies } from './stalled-streams.ts';
import type { Stream } from './streams.ts';
import type { Subjects } from './subjects.ts';

interface PublishDependencies extends StallDependencies {
  config: Config;
  clients: Clients;
  consents: Consents;
  subjects: Subjects;
}

/**
 * Publishes an event to every stream that covers it. Once this returns, the event is stored. Repeated calls change
 * nothing.
 */
export async function publish(dependencies: PublishDependencies, event: AccountEvent): Promise<void> {
  if (!dependencies.config.shared_signals.enabled || isEmpty(event)) return;
  for (const stream of await dependencies.streams.list()) await publishTo(dependencies, stream, event);
  if (event.type === 'account-purged') await dependencies.subjects.forgetAccount(event.account);
}

/**
 * Tells whether an event ends no session. An operator who ends all sessions causes an event for every account, and most
 * accounts have no session.
 */
function isEmpty(event: AccountEvent): boolean {
  return event.type === 'session-revoked' && event.sessions?.length === 0;
}

async function publishTo(dependencies: PublishDependencies, stream: Stream, event: AccountEvent): Promise<void> {
  if (stream.status === 'disabled') return;
  const reach = await reachOf(dependencies, stream.client);
  if (reach === undefined || !delivers(stream, reach, event.type)) return;
  const { issuer } = dependencies.config;
  const signals = signalsFor(event, { issuer, client: stream.client, reach });
  if (signals.length === 0 || !(await mayLearnOf(dependencies, stream, reach, event))) return;
  if (await pauseIfStalled(dependencies, stream)) return;
  for (const signal of signals) await dependencies.outbox.add(stream, { ...signal, jti: nameOf(stream.id, signal) });
}

/** Returns a client's current permission to receive events; undefined if it has none or is disabled. */
export async function reachOf(
  { clients }: Pick<PublishDependencies, 'clients'>,
  client: string,
): Promise<Reach | undefined> {
  const { shared_signals: reach } = (await clients.find(client)) ?? {};
  return reach === undefined || (await clients.isDisabled(client)) ? undefined : reach;
}

function delivers(stream: Stream, reach: Reach, name: AccountEvent['type']): boolean {
  return reach.events.includes(name) && stream.requested.includes(uriOf(name));
}

/** Tells whether a stream's client may learn of an event: the person or the operator must have given it access. */
async function mayLearnOf(
  dependencies: PublishDependencies,
  stream: Stream,
  reach: Reach,
  event: AccountEvent,
): Promise<boolean> {
  const { subjects, config } = dependencies;
  const { account } = event;
  const isWanted = (await subjects.choice(stream.id, account)) ?? config.shared_signals.default_subjects === 'ALL';
  if (!isWanted) return false;
  if (reach.accounts === 'all' || isOwn(event, stream.client)) return true;
  const consent = await dependencies.consents.find(account, stream.client);
  // Only clients whose tokens may contain roles receive role changes.
  if (event.type === 'token-claims-change' && !(await showsRoles(dependencies, stream.client, consent?.scopes)))
    return false;
  return consent !== undefined || (await subjects.isKnown(account, stream.client));
}

/**
 * Tells whether the event is about the client's own session. The client gets such an event even after losing its
 * access.
 */
function isOwn(event: AccountEvent, client: string): boolean {
  if (event.type !== 'session-revoked') return false;
  return event.client === client || event.sessions?.some((session) => session.client === client) === true;
}

async function showsRoles(
  dependencies: PublishDependencies,
  client: string,
  consented: readonly string[] = [],
): Promise<boolean> {
  const { first_party: isFirstParty = false, scopes = [] } = (await dependencies.clients.find(client)) ?? {};
  return isFirstParty || (scopes.includes('roles') && consented.includes('roles'));
}
