import type { RevocationTarget, Revoked } from '../events/events.ts';
import { grantKey } from '../sessions/grant-records.ts';
import { sessionKey } from '../sessions/session-records.ts';
import type { Store } from '../storage/store.ts';

/** Reads the owners of a session or grant from its record, before the record is removed. */
export async function ownerOfTarget(
  grants: Store,
  target: RevocationTarget,
): Promise<Pick<Revoked, 'account' | 'client'>> {
  if (target.what === 'session') {
    const { accountId } = (await grants.get(sessionKey(target.session)))?.value ?? {};
    return accountId === undefined ? {} : { account: accountId };
  }
  if (target.what !== 'grant') return {};
  const { accountId, clientId } = (await grants.get(grantKey(target.grant)))?.value ?? {};
  return {
    ...(accountId !== undefined && { account: accountId }),
    ...(clientId !== undefined && { client: clientId }),
  };
}
