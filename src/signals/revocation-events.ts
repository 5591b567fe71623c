import { everyAccountId } from '../accounts/every-account.ts';
import type { Accounts } from '../accounts/accounts.ts';
import type { RevocationCause, Revoked } from '../events/events.ts';
import { endedSessionNames, sessionNames } from '../sessions/session-records.ts';
import type { Store } from '../storage/store.ts';
import type { AccountEvent } from './account-event.ts';

type Explanation = Pick<AccountEvent, 'initiatedBy' | 'reason'>;

/** Initiator and reason by cause. Causes that concern neither a session nor an account are absent. */
const EXPLANATIONS: Partial<Record<RevocationCause, Explanation>> = {
  'signed-out': { initiatedBy: 'user', reason: 'The person signed out' },
  'session-ended': { initiatedBy: 'user', reason: 'The person ended the session from another browser' },
  'password-changed': { initiatedBy: 'user', reason: 'The password was changed' },
  'factor-changed': { initiatedBy: 'user', reason: 'A factor was changed' },
  'account-disabled': { initiatedBy: 'admin', reason: 'The account was disabled' },
  'account-deleted': { initiatedBy: 'admin', reason: 'The account was deleted' },
  'role-removed': { initiatedBy: 'admin', reason: 'A role was removed' },
  'consent-withdrawn': { initiatedBy: 'user', reason: 'The person withdrew the access of the app' },
  'ended-by-operator': { initiatedBy: 'admin', reason: 'An administrator ended the access' },
};

interface Dependencies {
  grants: Store;
  accounts: Pick<Accounts, 'ids' | 'find'>;
}

/**
 * Yields the account events of a revocation. The revocation of a single token has none, because only the status lists
 * publish it.
 */
export async function* accountEventsOf(revoked: Revoked, dependencies: Dependencies): AsyncGenerator<AccountEvent> {
  const { id, at, cause, target } = revoked;
  const explanation = EXPLANATIONS[cause];
  if (explanation === undefined) return;
  const facts = { ...explanation, id, at };
  if (target.what === 'session' && revoked.account !== undefined) {
    const sessions = await sessionNames(dependencies.grants, target.session);
    yield { ...facts, account: revoked.account, type: 'session-revoked', sessions };
  } else if (target.what === 'consent') {
    yield { ...facts, account: target.account, type: 'session-revoked', client: target.client };
  } else if (target.what === 'everything') {
    for await (const ids of everyAccountId(dependencies.accounts))
      for (const account of ids) yield sessionsEnded({ ...facts, account }, dependencies);
  } else if (target.what === 'account') {
    const settled = { ...target, cause: await effectiveCause(revoked, target.account, dependencies) };
    yield* accountEnded({ ...facts, account: target.account }, settled, dependencies);
  } else if (target.what === 'access') {
    const { roles } = (await dependencies.accounts.find(target.account)) ?? {};
    const account = { ...facts, account: target.account };
    if (roles !== undefined) yield { ...account, type: 'token-claims-change', claims: { roles } };
  }
}

/** Returns the cause that took effect. An interrupted revocation may have done no more than end the sessions. */
async function effectiveCause(
  { cause, isBrokenOff }: Revoked,
  id: string,
  { accounts }: Dependencies,
): Promise<RevocationCause> {
  if (isBrokenOff === undefined || (cause !== 'account-disabled' && cause !== 'account-deleted')) return cause;
  const account = await accounts.find(id);
  if (account === undefined) return cause === 'account-deleted' ? cause : 'ended-by-operator';
  return account.disabledAt === undefined ? 'ended-by-operator' : 'account-disabled';
}

type EventFacts = Pick<AccountEvent, 'id' | 'at' | 'account'> & Explanation;

async function sessionsEnded(facts: EventFacts, { grants }: Dependencies): Promise<AccountEvent> {
  const sessions = await endedSessionNames(grants, facts.account, facts.at);
  return { ...facts, type: 'session-revoked', sessions };
}

/** Yields the events of an account whose sessions ended. The cause decides which events follow. */
async function* accountEnded(
  facts: EventFacts,
  { before, exceptSession, cause }: { before?: number; exceptSession?: string; cause: RevocationCause },
  dependencies: Dependencies,
): AsyncGenerator<AccountEvent> {
  const isAll = before === undefined && exceptSession === undefined;
  yield isAll ? { ...facts, type: 'session-revoked' } : await sessionsEnded(facts, dependencies);
  if (cause === 'password-changed')
    yield { ...facts, type: 'credential-change', credential: 'password', change: 'update' };
  if (cause === 'account-disabled') yield { ...facts, type: 'account-disabled' };
  // Comes last, because it removes the account from all streams.
  if (cause === 'account-deleted') yield { ...facts, type: 'account-purged' };
}
