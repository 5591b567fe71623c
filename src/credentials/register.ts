import type { Account, Accounts, NewAccount } from '../accounts/accounts.ts';
import type { Caller } from '../limits/lane.ts';
import type { Passwords } from './passwords.ts';

/**
 * Makes an account together with its password. The password comes first: once the address leads to the account, its
 * owner can sign in, whenever a crash may come. Checks no rules. @throws RangeError when the email is not an address
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
