import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf } from '../lib/error-code.ts';
import { readYaml, type YamlDocument } from './document.ts';
import { ConfigError, pathText, type Fault, type Path, type Problem } from './problems.ts';
import { isMapping } from './shape.ts';

export interface ConfigSource {
  /** What problems name, as the operator wrote it. */
  name: string;
  text: string;
  /** The folder that the paths of secrets and certificates start from. */
  folder: string;
}

/** @throws ConfigError */
export function readSource(file: string): ConfigSource {
  try {
    return { name: file, text: readFileSync(file, 'utf8'), folder: dirname(file) };
  } catch (error) {
    throw new ConfigError(file, [{ path: '', message: `cannot be read (${codeOf(error)})` }]);
  }
}

/** @throws ConfigError for a text of which nothing can be read */
export function readDocument({ name, text }: ConfigSource): YamlDocument {
  const document = readYaml(text);
  if (!document.readable) throw new ConfigError(name, document.problems);
  return document;
}

/** A fault with the line that it stands on, if it stands in the document at all. */
export function problemAt(path: Path, message: string, document: YamlDocument): Problem {
  const line = document.lineOf(path);
  const problem = { path: pathText(path), message };
  return line === undefined ? problem : { ...problem, line };
}

/** The client that a path leads into, as the beginning of a message about it. */
export function clientAt([section, index]: Path, tree: unknown): string {
  const clients = section === 'clients' && isMapping(tree) ? tree['clients'] : undefined;
  const client: unknown = Array.isArray(clients) && typeof index === 'number' ? clients[index] : undefined;
  const id = isMapping(client) ? client['client_id'] : undefined;
  return typeof id === 'string' && id.length <= 128 ? `client ${JSON.stringify(id)}: ` : '';
}

/** The faults of places that nothing is known about yet. */
export function newsBeside(known: readonly Fault[], faults: readonly Fault[]): Fault[] {
  const places = known.map(({ path }) => pathText(path));
  return faults.filter(({ path }) => !places.includes(pathText(path)));
}

/** All problems in the order of their lines. */
export function refusal(source: ConfigSource, problems: readonly Problem[]): ConfigError {
  return new ConfigError(
    source.name,
    problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0)),
  );
}
