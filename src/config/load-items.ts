import type { z } from 'zod';
import type { Fault, Problem } from './problems.ts';
import { quotableAt } from './quotable.ts';
import { resolveSecrets } from './secret-references.ts';
import { isMapping } from './schema-reflection.ts';
import { itemAt, newsBeside, problemAt, readDocument, readSource, refusal } from './source.ts';
import type { Validated } from './validate.ts';

export interface LoadedItems<T> {
  value: T;
  /** Settings that work but should change. */
  warnings: Problem[];
}

export interface ItemsKind<T> {
  /** The configuration section that holds such items. */
  section: string;
  schema: z.ZodType;
  validate: (tree: unknown) => Validated<T>;
}

/**
 * Reads items from a file outside the configuration: one item, or a list under the section's name. @throws ConfigError
 * with every problem
 */
export function loadItems<T>(file: string, environment: NodeJS.ProcessEnv, kind: ItemsKind<T>): LoadedItems<T> {
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
