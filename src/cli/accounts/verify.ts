import { withAccount } from './context.ts';
import { bullets } from '../help-text.ts';
import type { StoreContext } from '../store-context.ts';

/** The operator vouches that the address belongs to the owner of the account. */
export function verify(context: StoreContext, name: string): Promise<number> {
  const { terminal } = context;
  return withAccount(context, name, async ({ accounts }, account) => {
    const { email, origin, emailVerified } = account;
    if (emailVerified !== undefined) {
      terminal.print(`${email} is verified already, by the ${emailVerified.by}`);
      return 0;
    }
    await accounts.verifyEmail(account.id, 'operator');
    const effects = [
      'apps read email_verified: true from the next tokens on',
      'a trusted issuer with match_email may link its person to the account',
      ...(origin === 'operator' || origin === 'configuration' ? [] : [caution(email)]),
    ];
    terminal.print(`${email} is verified\n${bullets(effects)}`);
    return 0;
  });
}

function caution(email: string): string {
  return `whoever made it keeps its password: "latchkey accounts password ${email}" shuts a stranger out`;
}
