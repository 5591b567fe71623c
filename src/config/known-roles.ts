import type { Config } from './schema.ts';

/** Lists the roles that the configuration assigns or requires; an API may know others. */
export function knownRoles({ resources, sign_up: signUp, accounts, trusted_issuers: issuers }: Config): string[] {
  const asked = resources.flatMap(({ scopes }) => Object.values(scopes).flatMap(({ roles }) => roles ?? []));
  const given = [signUp, ...accounts, ...issuers.map(({ subject }) => subject)].flatMap(({ roles }) => roles);
  return [...new Set([...asked, ...given])].toSorted();
}
