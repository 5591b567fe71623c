import type { z } from 'zod';
import type { Fault, Problem } from '../problems.ts';
import { quotableAt, resolveSecrets } from './secret-references.ts';
import { isMapping } from '../schema-reflection.ts';
import { itemAt, newsBeside, problemAt, readDocument, readSource, refusal } from './source.ts';
import { type Validated, validateIssuers, draftOf, validateClients } from '../validate.ts';
import { issuersSchema } from '../sections/issuer-schema.ts';
import type { Config, TrustedIssuer, ClientConfig } from '../schema.ts';
import { clientsSchema } from '../sections/client-schema.ts';
import { weakSecrets } from './secret-strength.ts';

interface LoadedItems<T> {
  value: T;
  /** Problems with settings that work but should change. */
  warnings: Problem[];
}

interface ItemsKind<T> {
  /** The configuration section that holds such items. */
  section: string;
  schema: z.ZodType;
  validate: (tree: unknown) => Validated<T>;
}

/**
 * Reads items from a file outside the configuration. The file holds one item, or a list under the section's name.
 * @throws ConfigError with every problem
 */
function loadItems<T>(file: string, environment: NodeJS.ProcessEnv, kind: ItemsKind<T>): LoadedItems<T> {
  const source = readSource(file);
  const document = readDocument(source);
  const isOne = isMapping(document.value) && !Object.hasOwn(document.value, kind.section);
  const tree = isOne ? { [kind.section]: [document.value] } : document.value;
  const secrets = resolveSecrets(kind.schema, tree, { folder: source.folder, environment });
  const described = ({ path, message }: Fault) =>
    problemAt(
      isOne ? path.slice(2) : path,
      `${itemAt(path, tree)}${message}`,
      document,
      quotableAt(kind.schema, tree, path),
    );

  const validated = kind.validate(secrets.value);
  const faults = [...secrets.faults];
  if ('faults' in validated) faults.push(...newsBeside(faults, validated.faults));
  else if (faults.length === 0 && document.problems.length === 0)
    return { value: validated.value, warnings: secrets.warnings.map(described) };
  throw refusal(source, [...document.problems, ...faults.map(described)]);
}

/**
 * Reads trusted issuers from a file outside the configuration. The file holds one issuer, or a list under
 * `trusted_issuers`. @throws ConfigError
 */
export function loadIssuers(file: string, config: Config, environment: NodeJS.ProcessEnv): TrustedIssuer[] {
  // A trusted issuer has no secret, so there are no warnings.
  return loadItems(file, environment, {
    section: 'trusted_issuers',
    schema: issuersSchema,
    validate: (tree) => validateIssuers(tree, config),
  }).value.trusted_issuers;
}

export interface LoadedClients {
  clients: ClientConfig[];
  /** Problems with settings that work but should change. */
  warnings: Problem[];
}

/**
 * Reads clients from a file outside the configuration, and checks them against the configuration's resources and client
 * ids. The file holds one client, or a list under `clients`. @throws ConfigError with every problem
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
