import type { SubjectNames } from '../accounts/pairwise.ts';
import type { Clients } from '../clients/clients.ts';
import { sectorOf } from '../config/sections/sector.ts';
import type { Signal, SubjectId } from './account-event.ts';
import type { Stream } from './streams.ts';

/** Signs claims as a Security Event Token with the current signing key. */
export type SignSet = (claims: Readonly<Record<string, unknown>>) => Promise<string>;

export interface TokenDependencies {
  issuer: string;
  clients: Pick<Clients, 'find'>;
  subjectNames: SubjectNames;
}

/**
 * Builds the claims of a security event token (RFC 8417 §2), without `sub` and `exp` (Shared Signals Framework 1.0
 * §4.1). The token is signed at delivery, because a key from the time of the event may be revoked by then.
 */
export async function setClaims(
  { issuer, clients, subjectNames }: TokenDependencies,
  { client }: Stream,
  signal: Signal,
): Promise<Record<string, unknown>> {
  const { jti, txn, iat, subject, type, event } = signal;
  const registered = await clients.find(client);
  const sector = registered && sectorOf(registered);
  return {
    iss: issuer,
    aud: client,
    jti,
    iat,
    ...(txn !== undefined && { txn }),
    sub_id: inSector(subject, (account) => subjectNames.subjectFor(account, sector)),
    events: { [type]: event },
  };
}

/** Replaces the account id in a subject by the `sub` that the receiver's ID tokens have. */
function inSector(subject: SubjectId, nameOf: (account: string) => string): SubjectId {
  if (subject.format === 'complex') return { ...subject, user: inSector(subject.user, nameOf) };
  return subject.format === 'iss_sub' ? { ...subject, sub: nameOf(subject.sub) } : subject;
}
