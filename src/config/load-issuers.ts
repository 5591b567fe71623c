import { issuersSchema } from './issuer-schema.ts';
import { loadItems } from './load-items.ts';
import type { Config, TrustedIssuer } from './schema.ts';
import { validateIssuers } from './validate.ts';

/**
 * Reads trusted issuers from a file outside the configuration: one, or several under `trusted_issuers`. @throws
 * ConfigError
 */
export function loadIssuers(file: string, config: Config, environment: NodeJS.ProcessEnv): TrustedIssuer[] {
  // A trusted issuer has no secret, so there are no warnings.
  return loadItems(file, environment, {
    section: 'trusted_issuers',
    schema: issuersSchema,
    validate: (tree) => validateIssuers(tree, config),
  }).value.trusted_issuers;
}
