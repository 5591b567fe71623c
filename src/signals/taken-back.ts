import type { Accounts } from '../accounts/accounts.ts';
import type { RevocationCause, Revoked } from '../events/revocations.ts';
import { endedSessionNames, sessionNames } from '../oidc/storage/session-records.ts';
import type { Store } from '../storage/store.ts';
import type { Occurrence } from './occurrence.ts';

type Why = Pick<Occurrence, 'initiatedBy' | 'reason'>;

/** Who did it, and what their administrators are told. A cause that says nothing of a session or an account is not here. */
const WHY: Partial<Record<RevocationCause, Why>> = {
  'signed-out': { initiatedBy: 'user', reason: 'The person signed out' },
  'session-ended': { initiatedBy: 'user', reason: 'The person ended the session from another place' },
  'password-changed': { initiatedBy: 'user', reason: 'The password was changed' },
  'factor-changed': { initiatedBy: 'user', reason: 'A factor was changed' },
  'account-disabled': { initiatedBy: 'admin', reason: 'The account was disabled' },
  'account-deleted': { initiatedBy: 'admin', reason: 'The account was deleted' },
  'consent-withdrawn': { initiatedBy: 'user', reason: 'The person took back what the app may do' },
  'ended-by-operator': { initiatedBy: 'admin', reason: 'An administrator ended it' },
};

/** What a revocation means for the accounts that it is about. What ends tokens alone is told by the status lists. */
export async function* takenBack(
  { target, ...revoked }: Revoked,
  { grants, accounts }: { grants: Store; accounts: Pick<Accounts, 'list'> },
): AsyncGenerator<Occurrence> {
  const { id, at, cause } = revoked;
  const why = WHY[cause];
  if (why === undefined) return;
  const happened = { ...why, id, at };
  if (target.what === 'session' && revoked.account !== undefined) {
    const sessions = await sessionNames(grants, target.session);
    yield { ...happened, account: revoked.account, type: 'session-revoked', sessions };
  } else if (target.what === 'consent') {
    yield { ...happened, account: target.account, type: 'session-revoked', client: target.client };
  } else if (target.what === 'account') {
    const isAll = target.before === undefined && target.exceptSession === undefined;
    yield {
      ...{ ...happened, account: target.account, type: 'session-revoked' },
      ...(!isAll && { sessions: await endedSessionNames(grants, target.account, at) }),
    };
    // Last: once an account is deleted, nobody hears of it any more.
    yield* accountChanged({ ...happened, account: target.account }, cause);
  } else if (target.what === 'everything') {
    for await (const account of everyAccount(accounts))
      yield { ...happened, account, type: 'session-revoked', sessions: await endedSessionNames(grants, account, at) };
  }
}

type Happened = Pick<Occurrence, 'id' | 'at' | 'account'> & Why;

/** Beside the end of its sessions. Which factor it was, and so what a receiver should make of it, the cause does not say. */
function* accountChanged(happened: Happened, cause: RevocationCause): Generator<Occurrence> {
  if (cause === 'password-changed')
    yield { ...happened, type: 'credential-change', credential: 'password', change: 'update' };
  if (cause === 'account-disabled') yield { ...happened, type: 'account-disabled' };
  if (cause === 'account-deleted') yield { ...happened, type: 'account-purged' };
}

async function* everyAccount(accounts: Pick<Accounts, 'list'>): AsyncGenerator<string> {
  let after: string | undefined;
  do {
    const page = await accounts.list(after === undefined ? {} : { after });
    for (const { id } of page.accounts) yield id;
    after = page.next;
  } while (after !== undefined);
}
