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
 * Reads clients that are not of the configuration, in the form that they would have there: one, or several under
 * `clients`. They are checked against the configuration: its resources, and the names that it has taken.
 * @throws ConfigError with every problem
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
