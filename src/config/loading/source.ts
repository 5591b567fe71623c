import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { codeOf } from '../../lib/file-system.ts';
import { readYaml, type YamlDocument } from './document.ts';
import { ConfigError, pathText, type Fault, type Path, type Problem } from '../problems.ts';
import { isMapping } from '../schema-reflection.ts';

export interface ConfigSource {
  /** The name used in problems, as the operator wrote it. */
  name: string;
  text: string;
  /** Base of the paths of secrets and certificates. */
  folder: string;
}

/** @throws ConfigError */
export function readSource(file: string): ConfigSource {
  try {
    return { name: file, text: readFileSync(file, 'utf8'), folder: dirname(file) };
  } catch (error) {
    throw new ConfigError(file, [{ path: '', message: `cannot be read (${codeOf(error)}): ${whyNot(error, file)}` }]);
  }
}

/** The remedy for a file that cannot be read. */
function whyNot(error: unknown, file: string): string {
  const reasons: Record<string, string> = {
    ENOENT: `there is no ${resolve(file)}; name one that is there`,
    EACCES: 'let the user that runs this command read it',
    EISDIR: 'it is a folder; name the file in it',
  };
  return reasons[codeOf(error)] ?? `look at ${resolve(file)}`;
}

/** @throws ConfigError for a text that cannot be parsed at all */
export function readDocument({ name, text }: ConfigSource): YamlDocument {
  const document = readYaml(text);
  if (!document.readable) throw new ConfigError(name, document.problems);
  return document;
}

/** Turns a fault into a problem with its line, if it has one. */
export function problemAt(path: Path, message: string, document: YamlDocument, value?: string): Problem {
  const [line, offset] = [document.lineOf(path), document.offsetOf(path)];
  return {
    path: pathText(path),
    message,
    ...(value !== undefined && { value }),
    ...(line !== undefined && { line }),
    ...(offset !== undefined && { offset }),
  };
}

/** The noun for the items of each list, and the key that identifies an item. */
const ITEMS: Readonly<Record<string, { noun: string; name: string }>> = {
  clients: { noun: 'client', name: 'client_id' },
  trusted_issuers: { noun: 'issuer', name: 'issuer' },
};

/** Returns the client or issuer of a path, to start a message with. */
export function itemAt([section = '', index]: Path, tree: unknown): string {
  const kind = ITEMS[section];
  const list = kind !== undefined && isMapping(tree) ? tree[section] : undefined;
  const item: unknown = Array.isArray(list) && typeof index === 'number' ? list[index] : undefined;
  const name = kind !== undefined && isMapping(item) ? item[kind.name] : undefined;
  return typeof name === 'string' && name.length <= 128 ? `${kind?.noun ?? ''} ${JSON.stringify(name)}: ` : '';
}

/** Returns the faults at paths without a known fault. */
export function newsBeside(known: readonly Fault[], faults: readonly Fault[]): Fault[] {
  const places = known.map(({ path }) => pathText(path));
  return faults.filter(({ path }) => !places.includes(pathText(path)));
}

/** Returns all problems in file order as one error. */
export function refusal(source: ConfigSource, problems: readonly Problem[]): ConfigError {
  return new ConfigError(
    source.name,
    problems.toSorted((a, b) => (a.offset ?? 0) - (b.offset ?? 0)),
  );
}
