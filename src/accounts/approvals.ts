import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import { keyspace, openRecord, sealRecord, type Index, type Sealed, type Store } from '../storage/store.ts';
import type { Consent } from './consents.ts';

/**
 * An app's request to a person on another device (CIBA). It waits until the person answers it on their account page.
 */
export interface Approval {
  id: string;
  account: string;
  client: string;
  /** The name by which people know the client. */
  clientName: string;
  asked: Consent;
  /** The message that the app shows too, so that the person recognises the request. */
  bindingMessage?: string;
  /** The secret with which the app fetches the answer. */
  request: string;
  /** In milliseconds since the epoch. */
  askedAt: number;
}

export interface Approvals {
  /** Stores a request to the person. @param ttl in seconds */
  ask(approval: Omit<Approval, 'id' | 'askedAt'>, ttl: number): Promise<void>;
  /** Lists the account's open requests, the first to expire first. */
  waiting(account: string): Promise<Approval[]>;
  /** Takes an open request of this account, which is then over. If several answers arrive, only one gets it. */
  take(id: string, account: string): Promise<Approval | undefined>;
}

const approvalKey = keyspace<Sealed<Approval>>('approval');
const approvalsOf = (account: string): Index<Sealed<Approval>> => `approvals:${account}`;

/**
 * Opens the approvals. @param options.key seals the requests, because the page that lists them holds no secret of its
 * own
 */
export function openApprovals(options: { grants: Store; clock: Clock; random: Random; key: Buffer }): Approvals {
  const { grants, clock, random } = options;
  const secret = options.key.toString('base64url');
  const open = (record: Sealed<Approval>): Approval => openRecord(secret, record);
  return {
    async ask(asked, ttl) {
      const approval: Approval = { ...asked, id: newId('apr', clock, random), askedAt: clock.now() };
      const record = sealRecord(secret, approval, random);
      await grants.set(approvalKey(approval.id), record, { ttl, indexes: [approvalsOf(approval.account)] });
    },
    async waiting(account) {
      const { keys } = await grants.members(approvalsOf(account));
      return (await grants.getMany(keys)).flatMap((stored) => (stored === undefined ? [] : [open(stored.value)]));
    },
    async take(id, account) {
      const stored = await grants.get(approvalKey(id));
      if (stored === undefined || open(stored.value).account !== account) return undefined;
      const taken = await grants.take(approvalKey(id));
      return taken && open(taken.value);
    },
  };
}
