import type { Account } from '../../accounts/account.ts';
import { didYouMean } from '../../config/suggest.ts';
import { type StoreContext, revocationDelayText } from '../store-context.ts';
import { bullets } from '../help-text.ts';
import type { Config } from '../../config/schema.ts';
import { roleName } from '../../config/values.ts';
import { UsageError, type Arguments, type Terminal, confirmed } from '../command.ts';
import { withAccount } from './context.ts';

export function addRole(context: StoreContext, name: string, word: string): Promise<number> {
  const { chosen, given, terminal } = context;
  const roles = readRoles(word);
  return withAccount(context, name, async ({ accountChanges }, account) => {
    if (!(await confirmUnknownRoles(roles, { config: chosen.config, options: given.options, terminal }))) return 1;
    const changed = await accountChanges.addRoles(account.id, roles);
    terminal.print(`${account.email} now has the roles ${listed(changed?.roles)}; new tokens contain them`);
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
    const effects = [
      'its access tokens are revoked; its apps stay signed in and get new ones',
      revocationDelayText(chosen.config),
    ];
    terminal.print(`${account.email} now has the roles ${listed(changed?.roles)}\n${bullets(effects)}`);
    return 0;
  });
}

function listed(roles: readonly string[] = []): string {
  return roles.join(', ') || 'none';
}

/** Parses one role, or several separated by commas. @throws UsageError */
export function readRoles(text: string): string[] {
  const roles = text.split(',');
  const invalid = roles.find((role) => !roleName.safeParse(role).success);
  if (invalid === undefined) return [...new Set(roles)];
  throw new UsageError(`${JSON.stringify(invalid)} is not a valid role: use lower-case letters, digits, _ and -`);
}

/**
 * Asks the operator about roles that the configuration does not name. Such a role may be mistyped, or only an API may
 * know it.
 */
export async function confirmUnknownRoles(
  roles: readonly string[],
  { config, options, terminal }: { config: Config; options: Arguments['options']; terminal: Terminal },
): Promise<boolean> {
  const known = knownRoles(config);
  const unknown = roles.filter((role) => !known.includes(role));
  if (unknown.length === 0) return true;
  const lines = unknown.map(
    (role) => `the configuration does not mention the role "${role}"${didYouMean(role, known)}`,
  );
  return confirmed(options, terminal, `${lines.join('\n')}\n  - it may be a role that only an API checks`);
}

/** Lists the roles that the configuration assigns or requires; an API may know others. */
export function knownRoles({ resources, sign_up: signUp, accounts, trusted_issuers: issuers }: Config): string[] {
  const asked = resources.flatMap(({ scopes }) => Object.values(scopes).flatMap(({ roles }) => roles ?? []));
  const given = [signUp, ...accounts, ...issuers.map(({ subject }) => subject)].flatMap(({ roles }) => roles);
  return [...new Set([...asked, ...given])].toSorted();
}
