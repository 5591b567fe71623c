import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type YAMLError } from 'yaml';
import { codeOf } from '../../lib/file-system.ts';
import { ConfigError, pathText, type Fault, type Path, type Problem } from '../problems.ts';
import { isMapping } from '../schema-reflection.ts';

/** Longest text of a configuration, in characters. A configuration with a thousand clients needs a third of it. */
const MAX_CHARACTERS = 1_048_576;
/**
 * Limit on aliases. It allows ordinary anchors, but refuses a few dozen aliases that each repeat the previous one (the
 * "billion laughs" attack).
 */
const MAX_ALIASES = 100;
/** Maximum number of syntax faults in a report. One fault often causes the next. */
const MAX_FAULTS = 10;

export interface YamlDocument {
  /** `undefined` if the text cannot be parsed at all. */
  value: unknown;
  readable: boolean;
  problems: Problem[];
  /** Returns the line of the setting at `path`, counted from 1, or else of the nearest mapping around it. */
  lineOf(path: Path): number | undefined;
  /** Returns the same position as `lineOf`, as an offset in the text. */
  offsetOf(path: Path): number | undefined;
}

/** Reads YAML 1.2 text into plain values. Never throws. The problems quote no values, which may be secrets. */
export function readYaml(text: string): YamlDocument {
  if (text.length > MAX_CHARACTERS) return unreadable({ path: '', message: 'is larger than 1 MiB' });
  try {
    return read(text);
  } catch (error) {
    // The parser still throws for nesting that exhausts the stack, and for too many aliases.
    const message =
      error instanceof RangeError ? 'is nested too deeply' : 'has more than 100 aliases that refer to each other';
    return unreadable({ path: '', message });
  }
}

function read(text: string): YamlDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    logLevel: 'error',
  });
  const aliases = aliasProblems(document, lines);
  const faults = [...document.errors, ...document.warnings].slice(0, MAX_FAULTS);
  const readable = aliases.length === 0 && document.errors.every((error) => error.code === 'DUPLICATE_KEY');
  return {
    value: readable ? document.toJS({ maxAliasCount: MAX_ALIASES }) : undefined,
    readable,
    problems: [
      ...aliases,
      ...faults.map((fault) => ({
        path: '',
        message: fault.code === 'DUPLICATE_KEY' ? twice(document, lines, fault.pos[0]) : inWords(fault),
        line: lines.linePos(fault.pos[0]).line,
        offset: fault.pos[0],
      })),
    ],
    offsetOf: (path) => offsetOf(document, path),
    lineOf: (path) => {
      const offset = offsetOf(document, path);
      return offset === undefined ? undefined : lines.linePos(offset).line;
    },
  };
}

/**
 * Reports an alias that has no earlier anchor or is inside its own. The report quotes no name, because YAML takes an
 * unquoted secret for one if it begins with `*` or `&`.
 */
function aliasProblems(document: Document, lines: LineCounter): Problem[] {
  const anchors = new Set<string>();
  const found: Problem[] = [];
  const add = (offset: number, message: string) =>
    found.push({ path: '', message, line: lines.linePos(offset).line, offset });
  visit(document, {
    Node: (_key, node) => {
      if ('anchor' in node && typeof node.anchor === 'string') anchors.add(node.anchor);
    },
    Alias: (_key, { source, range }, ancestors) => {
      const isInside = ancestors.some((node) => isNode(node) && 'anchor' in node && node.anchor === source);
      const offset = range?.[0] ?? 0;
      if (isInside) add(offset, 'is an alias (*) inside its own anchor (&): write the value out');
      else if (!anchors.has(source)) add(offset, 'is an alias (*) without an earlier anchor (&)');
    },
  });
  return found;
}

/** Describes a key that is written twice. @param offset the offset of the second key */
function twice(document: Document, lines: LineCounter, offset: number): string {
  let [name, first] = ['', offset];
  visit(document, {
    Map: (_key, { items }) => {
      const keys = items.flatMap(({ key }) => (isScalar(key) ? [key] : []));
      const second = keys.find((key) => key.range?.[0] === offset);
      const other = keys.find((key) => second !== undefined && key.value === second.value);
      if (second === undefined || other === undefined) return;
      [name, first] = [String(second.value), other.range?.[0] ?? offset];
    },
  });
  const key = /^[\w.:/-]{1,64}$/.test(name) ? name : 'this key';
  return `${key} is written twice in one mapping, first on line ${lines.linePos(first).line}; keep one`;
}

function offsetOf(document: Document, path: Path): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const step of path) {
    const found = isMap(node)
      ? node.items.find(({ key }) => isScalar(key) && key.value === step)
      : isSeq(node) && typeof step === 'number'
        ? { key: node.items[step], value: node.items[step] }
        : undefined;
    if (found === undefined || !isNode(found.key)) break;
    offset = found.key.range?.[0];
    node = found.value;
  }
  return offset;
}

const REMEDY = 'indent all settings of a level equally, and put texts with ": " or " #" in quotes';

function inWords({ code, message }: YAMLError): string {
  if (code === 'TAB_AS_INDENT') return 'is indented with a tab; YAML allows only spaces';
  if (code === 'MULTIPLE_DOCS') return 'a second document starts here; a file may hold only one';
  if (message.includes('call stack')) return 'is nested too deeply';
  if (code === 'MISSING_CHAR') return 'is not YAML: a quote or a bracket is not closed; close it';
  return `is not YAML: ${message.replace(/[:"'{[].*$/s, '').trim()}; ${REMEDY}`;
}

function unreadable(problem: Problem): YamlDocument {
  return { value: undefined, readable: false, problems: [problem], lineOf: () => undefined, offsetOf: () => undefined };
}

export interface ConfigSource {
  /** The file's name in messages, as the operator wrote it. */
  name: string;
  text: string;
  /** The base of relative paths in the configuration. */
  folder: string;
}

/** Reads the configuration file. @throws ConfigError */
export function readSource(file: string): ConfigSource {
  try {
    return { name: file, text: readFileSync(file, 'utf8'), folder: dirname(file) };
  } catch (error) {
    throw new ConfigError(file, [{ path: '', message: `cannot be read (${codeOf(error)}): ${whyNot(error, file)}` }]);
  }
}

/** Returns the remedy for a file that cannot be read. */
function whyNot(error: unknown, file: string): string {
  const reasons: Record<string, string> = {
    ENOENT: `${resolve(file)} does not exist; name an existing file`,
    EACCES: 'make it readable for the user that runs this command',
    EISDIR: 'it is a folder; name a file in it',
  };
  return reasons[codeOf(error)] ?? `check ${resolve(file)}`;
}

/** Parses the text of a configuration. @throws ConfigError for a text that cannot be parsed at all */
export function readDocument({ name, text }: ConfigSource): YamlDocument {
  const document = readYaml(text);
  if (!document.readable) throw new ConfigError(name, document.problems);
  return document;
}

/** Makes a problem, with the line and offset of its setting if the document has it. */
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

/** Returns the client or issuer at a path as the start of a message; an empty text for any other path. */
export function itemAt([section = '', index]: Path, tree: unknown): string {
  const kind = ITEMS[section];
  const list = kind !== undefined && isMapping(tree) ? tree[section] : undefined;
  const item: unknown = Array.isArray(list) && typeof index === 'number' ? list[index] : undefined;
  const name = kind !== undefined && isMapping(item) ? item[kind.name] : undefined;
  return typeof name === 'string' && name.length <= 128 ? `${kind?.noun ?? ''} ${JSON.stringify(name)}: ` : '';
}

/** Returns the faults whose paths have no known fault. */
export function newsBeside(known: readonly Fault[], faults: readonly Fault[]): Fault[] {
  const reported = known.map(({ path }) => pathText(path));
  return faults.filter(({ path }) => !reported.includes(pathText(path)));
}

/** Returns all problems in file order as one error. */
export function refusal(source: ConfigSource, problems: readonly Problem[]): ConfigError {
  return new ConfigError(
    source.name,
    problems.toSorted((a, b) => (a.offset ?? 0) - (b.offset ?? 0)),
  );
}
