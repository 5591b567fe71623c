import { issuersSchema } from './issuer-schema.ts';
import { loadItems } from './load-items.ts';
import type { Config, TrustedIssuer } from './schema.ts';
import { validateIssuers } from './validate.ts';

/** Reads trusted issuers that are not of the configuration: one, or several under `trusted_issuers`. @throws ConfigError */
export function loadIssuers(file: string, config: Config, environment: NodeJS.ProcessEnv): TrustedIssuer[] {
  // An issuer has no secret, so there is nothing to warn of.
  return loadItems(file, environment, {
    section: 'trusted_issuers',
    schema: issuersSchema,
    validate: (tree) => validateIssuers(tree, config),
  }).value.trusted_issuers;
}
