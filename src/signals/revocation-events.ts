import { everyAccountId } from '../accounts/every-account.ts';
import type { Accounts } from '../accounts/accounts.ts';
import type { RevocationCause, Revoked } from '../events/events.ts';
import { endedSessionNames, sessionNames } from '../sessions/session-records.ts';
import type { Store } from '../storage/store.ts';
import type { AccountEvent } from './account-event.ts';

type Why = Pick<AccountEvent, 'initiatedBy' | 'reason'>;

/** Initiator and reason by cause. Causes that concern neither a session nor an account are absent. */
const WHY: Partial<Record<RevocationCause, Why>> = {
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
  const why = WHY[cause];
  if (why === undefined) return;
  const happened = { ...why, id, at };
  if (target.what === 'session' && revoked.account !== undefined) {
    const sessions = await sessionNames(dependencies.grants, target.session);
    yield { ...happened, account: revoked.account, type: 'session-revoked', sessions };
  } else if (target.what === 'consent') {
    yield { ...happened, account: target.account, type: 'session-revoked', client: target.client };
  } else if (target.what === 'everything') {
    for await (const ids of everyAccountId(dependencies.accounts))
      for (const account of ids) yield sessionsEnded({ ...happened, account }, dependencies);
  } else if (target.what === 'account') {
    const settled = { ...target, cause: await causeNow(revoked, target.account, dependencies) };
    yield* accountEnded({ ...happened, account: target.account }, settled, dependencies);
  } else if (target.what === 'access') {
    const { roles } = (await dependencies.accounts.find(target.account)) ?? {};
    const account = { ...happened, account: target.account };
    if (roles !== undefined) yield { ...account, type: 'token-claims-change', claims: { roles } };
  }
}

/** Returns the cause that took effect. An interrupted revocation may have done no more than end the sessions. */
async function causeNow(
  { cause, isBrokenOff }: Revoked,
  id: string,
  { accounts }: Dependencies,
): Promise<RevocationCause> {
  if (isBrokenOff === undefined || (cause !== 'account-disabled' && cause !== 'account-deleted')) return cause;
  const account = await accounts.find(id);
  if (account === undefined) return cause === 'account-deleted' ? cause : 'ended-by-operator';
  return account.disabledAt === undefined ? 'ended-by-operator' : 'account-disabled';
}

type Happened = Pick<AccountEvent, 'id' | 'at' | 'account'> & Why;

async function sessionsEnded(happened: Happened, { grants }: Dependencies): Promise<AccountEvent> {
  const sessions = await endedSessionNames(grants, happened.account, happened.at);
  return { ...happened, type: 'session-revoked', sessions };
}

/** Yields the events of an account whose sessions ended. The cause decides which events follow. */
async function* accountEnded(
  happened: Happened,
  { before, exceptSession, cause }: { before?: number; exceptSession?: string; cause: RevocationCause },
  dependencies: Dependencies,
): AsyncGenerator<AccountEvent> {
  const isAll = before === undefined && exceptSession === undefined;
  yield isAll ? { ...happened, type: 'session-revoked' } : await sessionsEnded(happened, dependencies);
  if (cause === 'password-changed')
    yield { ...happened, type: 'credential-change', credential: 'password', change: 'update' };
  if (cause === 'account-disabled') yield { ...happened, type: 'account-disabled' };
  // Comes last, because it removes the account from all streams.
  if (cause === 'account-deleted') yield { ...happened, type: 'account-purged' };
}
