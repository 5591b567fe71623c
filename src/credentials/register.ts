import type { Account, Accounts, NewAccount } from '../accounts/accounts.ts';
import type { Caller } from '../limits/lane.ts';
import type { Passwords } from './passwords.ts';

/**
 * Makes an account with its password. The password is stored first, so that the owner can sign in once the address
 * leads to the account, even after a crash. Checks no rules. @throws RangeError if the email is not an address
 */
export async function register(
  parts: { accounts: Accounts; passwords: Passwords },
  person: NewAccount & { password: string },
  caller: Caller,
): Promise<Account | 'email-taken'> {
  const { accounts, passwords } = parts;
  const { password, ...account } = person;
  const id = accounts.newId();
  await passwords.set(id, password, caller);
  const created = await accounts.create({ ...account, id });
  if (created === 'email-taken') await passwords.remove(id);
  return created;
}
