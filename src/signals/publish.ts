import type { Consents } from '../accounts/consents.ts';
import type { Clients } from '../clients/clients.ts';
import type { Config } from '../config/schema.ts';
import { uriOf, type Reach } from './event-types.ts';
import { nameOf, signalsFor, type Occurrence } from './occurrence.ts';
import { pauseIfStuck, type StandstillParts } from './standstill.ts';
import type { Stream } from './streams.ts';
import type { Subjects } from './subjects.ts';

export interface PublishParts extends StandstillParts {
  config: Config;
  clients: Clients;
  consents: Consents;
  subjects: Subjects;
}

/**
 * Puts what happened into every stream that it is for. Once it returns, the events outlive this process; called again
 * with the same occurrence it changes nothing.
 */
export async function publish(parts: PublishParts, occurrence: Occurrence): Promise<void> {
  if (!parts.config.shared_signals.enabled || isNothing(occurrence)) return;
  for (const stream of await parts.streams.list()) await publishTo(parts, stream, occurrence);
  if (occurrence.type === 'account-purged') await parts.subjects.forgetAccount(occurrence.account);
}

/** Of the many accounts that an operator ends at once, most are signed in nowhere. */
function isNothing(occurrence: Occurrence): boolean {
  return occurrence.type === 'session-revoked' && occurrence.sessions?.length === 0;
}

async function publishTo(parts: PublishParts, stream: Stream, occurrence: Occurrence): Promise<void> {
  if (stream.status === 'disabled') return;
  const reach = await reachOf(parts, stream.client);
  if (reach === undefined || !delivers(stream, reach, occurrence.type)) return;
  const { issuer } = parts.config;
  const signals = signalsFor(occurrence, { issuer, client: stream.client, reach });
  if (signals.length === 0 || !(await mayHear(parts, stream, reach, occurrence))) return;
  if (await pauseIfStuck(parts, stream)) return;
  for (const signal of signals) await parts.outbox.add(stream, { ...signal, jti: nameOf(stream.id, signal) });
}

/** Returns a client's permission to receive events, as it is now; undefined if the operator withdrew it. */
export async function reachOf({ clients }: Pick<PublishParts, 'clients'>, client: string): Promise<Reach | undefined> {
  const { shared_signals: reach } = (await clients.find(client)) ?? {};
  return reach === undefined || (await clients.isDisabled(client)) ? undefined : reach;
}

function delivers(stream: Stream, reach: Reach, name: Occurrence['type']): boolean {
  return reach.events.includes(name) && stream.requested.includes(uriOf(name));
}

/** Tells whether a stream's client may learn of an event: the person or the operator must have given it access. */
async function mayHear(parts: PublishParts, stream: Stream, reach: Reach, occurrence: Occurrence): Promise<boolean> {
  const { subjects, config } = parts;
  const { account } = occurrence;
  const isWanted = (await subjects.choice(stream.id, account)) ?? config.shared_signals.default_subjects === 'ALL';
  if (!isWanted) return false;
  if (reach.accounts === 'all' || isOwn(occurrence, stream.client)) return true;
  const consent = await parts.consents.find(account, stream.client);
  // Roles are told to those alone whose tokens may say them.
  if (occurrence.type === 'token-claims-change' && !(await showsRoles(parts, stream.client, consent?.scopes)))
    return false;
  return consent !== undefined || (await subjects.isKnown(account, stream.client));
}

/** A session that was the client's own, also when nothing else is left of what the person let it do. */
function isOwn(occurrence: Occurrence, client: string): boolean {
  if (occurrence.type !== 'session-revoked') return false;
  return occurrence.client === client || occurrence.sessions?.some((session) => session.client === client) === true;
}

async function showsRoles(parts: PublishParts, client: string, consented: readonly string[] = []): Promise<boolean> {
  const { first_party: isOurs = false, scopes = [] } = (await parts.clients.find(client)) ?? {};
  return isOurs || (scopes.includes('roles') && consented.includes('roles'));
}
