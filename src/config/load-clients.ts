import { clientsSchema } from './client-schema.ts';
import { loadItems } from './load-items.ts';
import type { Problem } from './problems.ts';
import type { ClientConfig, Config } from './schema.ts';
import { weakSecrets } from './secret-strength.ts';
import { newsBeside } from './source.ts';
import { draftOf, validateClients } from './validate.ts';

export interface LoadedClients {
  clients: ClientConfig[];
  /** Settings that work but should change. */
  warnings: Problem[];
}

/**
 * Reads clients from a file outside the configuration: one, or several under `clients`. Checks them against the
 * configuration's resources and client ids. @throws ConfigError with every problem
 */
export function loadClients(file: string, config: Config, environment: NodeJS.ProcessEnv): LoadedClients {
  const { value, warnings } = loadItems(file, environment, {
    section: 'clients',
    schema: clientsSchema,
    validate: (tree) => {
      const validated = validateClients(tree, config);
      const weak = weakSecrets(draftOf(tree).clients);
      const faults = 'faults' in validated ? [...validated.faults, ...newsBeside(validated.faults, weak)] : weak;
      return 'value' in validated && weak.length === 0 ? validated : { faults };
    },
  });
  return { ...value, warnings };
}
