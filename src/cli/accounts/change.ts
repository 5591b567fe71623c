import { normaliseEmail } from '../../lib/email.ts';
import { OPERATOR } from '../../limits/lane.ts';
import { confirmed } from '../command.ts';
import { askPassword, assertAcceptable } from '../new-password.ts';
import { type StoreContext, revocationDelayText, endingEffects } from '../store-context.ts';
import { bullets } from '../help-text.ts';
import { withAccount, withAccountToRemove } from './context.ts';

export function disable(context: StoreContext, name: string): Promise<number> {
  return withAccount(context, name, async (domain, account) => {
    const ended = [await endingEffects(domain, account), revocationDelayText(context.chosen.config)];
    await domain.operations.disableAccount(account.id);
    const enable = `"latchkey accounts enable ${account.email}" allows sign-in again`;
    context.terminal.print(`disabled ${account.email}: nobody can sign in to it\n${bullets([...ended, enable])}`);
    return 0;
  });
}

export function enable(context: StoreContext, name: string): Promise<number> {
  return withAccount(context, name, async ({ accountChanges }, account) => {
    const wasDisabled = await accountChanges.enable(account.id);
    const was = wasDisabled ? 'is enabled: it can sign in again' : 'was not disabled';
    context.terminal.print(`${account.email} ${was}`);
    return 0;
  });
}

export function signOut(context: StoreContext, name: string): Promise<number> {
  return withAccount(context, name, async (domain, account) => {
    const ended = [await endingEffects(domain, account), revocationDelayText(context.chosen.config)];
    await domain.operations.endBefore({ account: account.id });
    context.terminal.print(`signed ${account.email} out everywhere\n${bullets(ended)}`);
    return 0;
  });
}

export function remove(context: StoreContext, name: string): Promise<number> {
  const { chosen, given, place, terminal } = context;
  return withAccountToRemove(context, name, async (domain, { id, email }) => {
    const ended = [await endingEffects(domain, { id }), revocationDelayText(chosen.config)];
    const isSeed = chosen.config.accounts.some((seed) => normaliseEmail(seed.email) === email);
    const seed = `the configuration lists ${email} under accounts, so the next start creates a new account for it`;
    const lines = [...ended, 'this cannot be undone', ...(isSeed ? [seed] : [])];
    const label = email ?? 'an account that cannot be opened';
    if (!(await confirmed(given.options, terminal, `removing ${label} (${id}) and its password\n${bullets(lines)}`)))
      return 1;
    await domain.operations.removeAccount(id);
    terminal.print(`removed ${email ?? id} from ${place}`);
    return 0;
  });
}

export function setPassword(context: StoreContext, name: string): Promise<number> {
  return withAccount(context, name, async (domain, account) => {
    const { config } = context.chosen;
    const password = await askPassword(context);
    if (password === undefined)
      throw new Error('no password was given: use --password-file FILE, or enter one at a terminal');
    await assertAcceptable(password, account, { passwords: domain.passwords, config });
    const ended = [await endingEffects(domain, account), revocationDelayText(config)];
    const { store } = await domain.passwords.prepare(account.id, password, OPERATOR);
    await domain.operations.changeCredentials(account.id, 'password-changed', { store });
    context.terminal.print(`${account.email} has a new password\n${bullets(ended)}`);
    return 0;
  });
}

/** Marks an email address as verified. The operator vouches that it belongs to the owner of the account. */
export function verify(context: StoreContext, name: string): Promise<number> {
  const { terminal } = context;
  return withAccount(context, name, async ({ accounts }, account) => {
    const { email, origin, emailVerified } = account;
    if (emailVerified !== undefined) {
      terminal.print(`${email} is already verified, by the ${emailVerified.by}`);
      return 0;
    }
    await accounts.verifyEmail(account.id, 'operator');
    const effects = [
      'apps get email_verified: true from now on',
      'a trusted issuer with match_email may link its user to the account',
      ...(origin === 'operator' || origin === 'configuration' ? [] : [caution(email)]),
    ];
    terminal.print(`${email} is verified\n${bullets(effects)}`);
    return 0;
  });
}

function caution(email: string): string {
  return `the person who created the account still knows its password: "latchkey accounts password ${email}" replaces it`;
}
