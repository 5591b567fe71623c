import type { Fault, Problem } from './problems.ts';
import { clientsSchema } from './client-schema.ts';
import type { ClientConfig, Config } from './schema.ts';
import { resolveSecrets } from './secret-references.ts';
import { isMapping } from './shape.ts';
import { clientAt, newsBeside, problemAt, readDocument, readSource, refusal } from './source.ts';
import { validateClients } from './validate.ts';

export interface LoadedClients {
  clients: ClientConfig[];
  /** What works but should not stay as it is. */
  warnings: Problem[];
}

/**
 * Reads clients that are not of the configuration, in the form that they would have there: one, or several under
 * `clients`. They are checked against the configuration: its resources, and the names that it has taken.
 * @throws ConfigError with every problem
 */
export function loadClients(file: string, config: Config, environment: NodeJS.ProcessEnv): LoadedClients {
  const source = readSource(file);
  const document = readDocument(source);
  const isOne = isMapping(document.value) && !Object.hasOwn(document.value, 'clients');
  const tree = isOne ? { clients: [document.value] } : document.value;
  const secrets = resolveSecrets(clientsSchema, tree, { folder: source.folder, environment });
  const described = ({ path, message }: Fault) =>
    problemAt(isOne ? path.slice(2) : path, `${clientAt(path, tree)}${message}`, document);

  const validated = validateClients(secrets.value, config);
  const faults = [...secrets.faults];
  if ('faults' in validated) faults.push(...newsBeside(faults, validated.faults));
  else if (faults.length === 0 && document.problems.length === 0)
    return { clients: validated.value.clients, warnings: secrets.warnings.map(described) };
  throw refusal(source, [...document.problems, ...faults.map(described)]);
}
