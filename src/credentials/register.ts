import type { Account, Accounts } from '../accounts/accounts.ts';
import type { Passwords } from './passwords.ts';

/**
 * Makes an account together with its password. The password comes first: once the address leads to the account, its
 * owner can sign in, whenever a crash may come. Checks no rules. @throws RangeError when the email is not an address
 */
export async function register(
  parts: { accounts: Accounts; passwords: Passwords },
  person: { email: string; name: string; password: string; roles: readonly string[] },
): Promise<Account | 'email-taken'> {
  const { accounts, passwords } = parts;
  const { password, ...account } = person;
  const id = accounts.newId();
  await passwords.set(id, password);
  const created = await accounts.create({ id, ...account });
  if (created === 'email-taken') await passwords.remove(id);
  return created;
}
