import { openAccounts } from '../accounts/accounts.ts';
import { openApprovals } from '../accounts/approvals.ts';
import { openConsents } from '../accounts/consents.ts';
import { openSubjectNames, SUBJECT_NAMES } from '../accounts/pairwise.ts';
import { openBreachedPasswords } from '../credentials/breached-passwords.ts';
import { openCredentials } from '../credentials/credentials.ts';
import type { Announce } from '../events/events.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import { backchannelRequests } from '../oidc/backchannel-requests.ts';
import { accountLookup } from '../oidc/requests/request-account.ts';
import type { Base } from './base.ts';

export type People = Awaited<ReturnType<typeof openPeople>>;

/** Who signs in, by what, what they allow, and what they are asked while they are elsewhere. */
export async function openPeople(
  { config, stores, clock, random, log }: Base,
  secrets: RingSnapshot,
  announce: Announce,
) {
  const { records, grants } = stores;
  const accounts = openAccounts({ records, clock, random });
  const deviceKey = secrets.derive('known devices');
  const isBreached = openBreachedPasswords(config.passwords.breached ?? {}, {
    ...config.outgoing,
    reportFailure: (err) => {
      log.warn({ err }, 'breached passwords cannot be looked up; new ones pass without that');
    },
  });
  const reportPublished = (account: string) => {
    const fix = 'set another: latchkey accounts password ACCOUNT';
    log.warn(
      { account },
      `a sign-in was refused: the account has the password of the demo, which everybody knows; ${fix}`,
    );
  };
  const parts = { config, accounts, records, grants, clock, random };
  const credentials = openCredentials({ ...parts, deviceKey, isBreached, reportPublished });
  await credentials.makeSeedAccounts(config.accounts);
  const approvals = openApprovals({ grants, clock, random, key: secrets.derive('approvals') });
  const subjectNames = openSubjectNames(secrets.derive(SUBJECT_NAMES));
  const { resources } = config;
  return {
    accounts,
    subjectNames,
    credentials,
    approvals,
    backchannel: backchannelRequests({
      accounts,
      subjectNames,
      approvals,
      resources,
      limits: config.ciba,
      grants,
      announce,
      clock,
    }),
    accountOf: accountLookup(accounts),
    consents: openConsents(records),
  };
}
