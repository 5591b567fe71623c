import { openAccounts } from '../accounts/accounts.ts';
import { openApprovals } from '../accounts/approvals.ts';
import { openConsents } from '../accounts/consents.ts';
import { openCredentials } from '../credentials/credentials.ts';
import type { Announce } from '../events/events.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import { backchannelRequests } from '../oidc/backchannel-requests.ts';
import { accountLookup } from '../oidc/requests/request-account.ts';
import type { Base } from './base.ts';

export type People = Awaited<ReturnType<typeof openPeople>>;

/** Who signs in, by what, what they allow, and what they are asked while they are elsewhere. */
export async function openPeople({ config, stores, clock, random }: Base, secrets: RingSnapshot, announce: Announce) {
  const { records, grants } = stores;
  const accounts = openAccounts({ records, clock, random });
  const deviceKey = secrets.derive('known devices');
  const credentials = openCredentials({ config, accounts, records, grants, clock, random, deviceKey });
  await credentials.makeSeedAccounts(config.accounts);
  const approvals = openApprovals({ grants, clock, random, key: secrets.derive('approvals') });
  const { resources } = config;
  return {
    accounts,
    credentials,
    approvals,
    backchannel: backchannelRequests({ accounts, approvals, resources, grants, announce, clock }),
    accountOf: accountLookup(accounts),
    consents: openConsents(records),
  };
}
