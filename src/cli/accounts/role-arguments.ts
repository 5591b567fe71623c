import type { Config } from '../../config/schema.ts';
import { didYouMean } from '../../config/suggest.ts';
import { roleName } from '../../config/values.ts';
import { UsageError, type Arguments, type Terminal } from '../command.ts';
import { confirmed } from '../confirm.ts';

/** Parses one role, or several separated by commas. @throws UsageError */
export function readRoles(text: string): string[] {
  const roles = text.split(',');
  const odd = roles.find((role) => !roleName.safeParse(role).success);
  if (odd === undefined) return [...new Set(roles)];
  throw new UsageError(`${JSON.stringify(odd)} is not a role: write lower case letters, digits, _ and -`);
}

/**
 * Asks the operator about roles that the configuration does not name. They may be mistyped, or only an API knows them.
 */
export async function confirmUnknownRoles(
  roles: readonly string[],
  { config, options, terminal }: { config: Config; options: Arguments['options']; terminal: Terminal },
): Promise<boolean> {
  const known = knownRoles(config);
  const unknown = roles.filter((role) => !known.includes(role));
  if (unknown.length === 0) return true;
  const lines = unknown.map((role) => `the configuration names no role "${role}"${didYouMean(role, known)}`);
  return confirmed(options, terminal, `${lines.join('\n')}\n  - an API of its own may ask for it`);
}

/** Lists the roles that the configuration assigns or requires; an API may know others. */
export function knownRoles({ resources, sign_up: signUp, accounts, trusted_issuers: issuers }: Config): string[] {
  const asked = resources.flatMap(({ scopes }) => Object.values(scopes).flatMap(({ roles }) => roles ?? []));
  const given = [signUp, ...accounts, ...issuers.map(({ subject }) => subject)].flatMap(({ roles }) => roles);
  return [...new Set([...asked, ...given])].toSorted();
}
