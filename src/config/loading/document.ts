import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type YAMLError } from 'yaml';
import type { Path, Problem } from '../problems.ts';

/** Length limit. A thousand clients need a third of it. */
const MAX_CHARACTERS = 1_048_576;
/**
 * Limit on aliases. Anchors are allowed, but not a few dozen aliases that each repeat the previous one (the "billion
 * laughs").
 */
const MAX_ALIASES = 100;
/** Most syntax faults in a report: one of them often causes the next. */
const MAX_FAULTS = 10;

export interface YamlDocument {
  /** `undefined` if the text cannot be parsed at all. */
  value: unknown;
  readable: boolean;
  problems: Problem[];
  /** Returns the line, from 1, of the setting at `path`, or else of the nearest mapping around it. */
  lineOf(path: Path): number | undefined;
  /** Returns the offset of that setting in the text. */
  offsetOf(path: Path): number | undefined;
}

/** Reads YAML 1.2 text into plain values. Never throws, and quotes nothing of the text, which may hold a secret. */
export function readYaml(text: string): YamlDocument {
  if (text.length > MAX_CHARACTERS) return unreadable({ path: '', message: 'is larger than 1 MiB' });
  try {
    return read(text);
  } catch (error) {
    // The parser still throws for endless recursion (nesting) and for too many aliases.
    const message =
      error instanceof RangeError ? 'is nested too deep' : 'has more than 100 aliases that repeat each other';
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
 * Reports an alias without an earlier anchor, or inside its own anchor. Does not quote names, which could be secrets by
 * mistake.
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
      if (isInside) add(offset, 'is an alias (*) inside the anchor (&) that it repeats: write the value out');
      else if (!anchors.has(source)) add(offset, 'is an alias (*) of an anchor (&) that is not there before it');
    },
  });
  return found;
}

/** @param offset the offset of the second key */
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

const REMEDY = 'indent all settings of a level alike, and put texts with ": " or " #" in quotes';

function inWords({ code, message }: YAMLError): string {
  if (code === 'TAB_AS_INDENT') return 'is indented with a tab; YAML wants spaces';
  if (code === 'MULTIPLE_DOCS') return 'a second document starts here; one file holds one';
  if (message.includes('call stack')) return 'is nested too deep';
  if (code === 'MISSING_CHAR') return 'is not YAML: a quote or a bracket is not closed; close it';
  return `is not YAML: ${message.replace(/[:"'{[].*$/s, '').trim()}; ${REMEDY}`;
}

function unreadable(problem: Problem): YamlDocument {
  return { value: undefined, readable: false, problems: [problem], lineOf: () => undefined, offsetOf: () => undefined };
}
