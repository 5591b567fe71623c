import { knownRoles } from '../config/known-roles.ts';
import type { Config } from '../config/schema.ts';
import { didYouMean } from '../config/suggest.ts';
import { roleName } from '../config/values.ts';
import { UsageError, type Arguments, type Terminal } from './command.ts';
import { confirmed } from './confirm.ts';

/** Reads roles as a command line names them: one, or several with commas between. @throws UsageError */
export function readRoles(text: string): string[] {
  const roles = text.split(',');
  const odd = roles.find((role) => !roleName.safeParse(role).success);
  if (odd === undefined) return [...new Set(roles)];
  throw new UsageError(`${JSON.stringify(odd)} is not a role: write lower case letters, digits, _ and -`);
}

/** A role that the configuration does not name may be mistyped, or one that an API alone knows: only a person can tell. */
export async function areMeant(
  roles: readonly string[],
  { config, options, terminal }: { config: Config; options: Arguments['options']; terminal: Terminal },
): Promise<boolean> {
  const known = knownRoles(config);
  const unknown = roles.filter((role) => !known.includes(role));
  if (unknown.length === 0) return true;
  const lines = unknown.map((role) => `the configuration names no role "${role}"${didYouMean(role, known)}`);
  return confirmed(options, terminal, `${lines.join('\n')}\n  - an API of its own may ask for it`);
}
