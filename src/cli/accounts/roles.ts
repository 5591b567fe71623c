import type { Account } from '../../accounts/accounts.ts';
import { didYouMean } from '../../config/suggest.ts';
import { withAccount } from './context.ts';
import { confirmUnknownRoles, readRoles } from './role-arguments.ts';
import type { StoreContext } from '../store-context.ts';
import { bullets } from '../help-text.ts';
import { howSoon } from '../ending-effects.ts';

export function addRole(context: StoreContext, name: string, word: string): Promise<number> {
  const { chosen, given, terminal } = context;
  const roles = readRoles(word);
  return withAccount(context, name, async ({ accountChanges }, account) => {
    if (!(await confirmUnknownRoles(roles, { config: chosen.config, options: given.options, terminal }))) return 1;
    const changed = await accountChanges.addRoles(account.id, roles);
    terminal.print(`${account.email} has the roles ${listed(changed?.roles)}; its next tokens say so`);
    return 0;
  });
}

export function removeRole(context: StoreContext, name: string, word: string): Promise<number> {
  const { chosen, terminal } = context;
  const roles = readRoles(word);
  return withAccount(context, name, async ({ accounts, operations }, account) => {
    const missing = roles.find((role) => !account.roles.includes(role));
    if (missing !== undefined) {
      const hint = didYouMean(missing, account.roles);
      terminal.warn(`latchkey: ${account.email} has no role "${missing}"${hint}; it has ${listed(account.roles)}`);
      return 1;
    }
    let changed: Account | undefined;
    await operations.removeRole(account.id, async () => {
      changed = await accounts.setRoles(account.id, (now) => now.filter((role) => !roles.includes(role)));
    });
    const effects = ['its access tokens are revoked; its apps stay signed in, and get others', howSoon(chosen.config)];
    terminal.print(`${account.email} has the roles ${listed(changed?.roles)}\n${bullets(effects)}`);
    return 0;
  });
}

function listed(roles: readonly string[] = []): string {
  return roles.join(', ') || 'none';
}
