import type { Account } from '../accounts/account.ts';
import type { Accounts } from '../accounts/accounts.ts';
import type { Clock } from '../lib/clock.ts';
import { newId, type AccountId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import type { Signals } from './signals.ts';

/** Account changes that an operator makes. They revoke nothing, but receivers get an event for each. */
interface AccountChanges {
  /** @returns whether the account was disabled before */
  enable(account: AccountId): Promise<boolean>;
  /** @returns the changed account; `undefined` if there is none */
  addRoles(account: AccountId, roles: readonly string[]): Promise<Account | undefined>;
}

export function openAccountChanges({
  accounts,
  signals,
  clock,
  random,
}: {
  accounts: Pick<Accounts, 'find' | 'enable' | 'setRoles'>;
  signals: Pick<Signals, 'publish'>;
  clock: Clock;
  random: Random;
}): AccountChanges {
  const happened = (account: AccountId, reason: string) => {
    const id = newId('occ', clock, random);
    return { id, at: clock.now(), account, initiatedBy: 'admin' as const, reason };
  };
  return {
    async enable(account) {
      const wasDisabled = (await accounts.find(account))?.disabledAt !== undefined;
      await accounts.enable(account);
      if (wasDisabled)
        await signals.publish({ ...happened(account, 'The account was enabled'), type: 'account-enabled' });
      return wasDisabled;
    },
    async addRoles(account, roles) {
      const changed = await accounts.setRoles(account, (now) => [...now, ...roles]);
      if (changed === undefined) return undefined;
      const claims = { roles: changed.roles };
      await signals.publish({ ...happened(account, 'A role was added'), type: 'token-claims-change', claims });
      return changed;
    },
  };
}
