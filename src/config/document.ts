import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Document, type YAMLError } from 'yaml';
import type { Path, Problem } from './problems.ts';

/** A thousand clients fit in a third of this. */
const MAX_CHARACTERS = 1_048_576;
/** Anchors may be used; a few dozen aliases that each repeat the last one may not (the "billion laughs"). */
const MAX_ALIASES = 100;
/** What is not YAML at one place makes little sense of the rest. */
const MAX_FAULTS = 10;

export interface YamlDocument {
  /** `undefined` when the text cannot be read at all. */
  value: unknown;
  readable: boolean;
  problems: Problem[];
  /** The line, from 1, of the setting at `path` or else of the nearest mapping around it. */
  lineOf(path: Path): number | undefined;
}

/** Reads YAML 1.2 text into plain values. Never throws, and quotes nothing of the text, which may hold a secret. */
export function readYaml(text: string): YamlDocument {
  if (text.length > MAX_CHARACTERS) return unreadable({ path: '', message: 'is larger than 1 MiB' });
  try {
    return read(text);
  } catch (error) {
    // What is left to be thrown: recursion without end (nesting), and too many aliases.
    const message = error instanceof RangeError ? 'is nested too deep' : 'has too many aliases, or one that is unknown';
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
  const faults = [...document.errors, ...document.warnings].slice(0, MAX_FAULTS);
  const readable = document.errors.every((error) => error.code === 'DUPLICATE_KEY');
  return {
    value: readable ? document.toJS({ maxAliasCount: MAX_ALIASES }) : undefined,
    readable,
    problems: faults.map((fault) => ({ path: '', message: inWords(fault), line: lines.linePos(fault.pos[0]).line })),
    lineOf: (path) => {
      const offset = offsetOf(document, path);
      return offset === undefined ? undefined : lines.linePos(offset).line;
    },
  };
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

function inWords({ code, message }: YAMLError): string {
  if (code === 'DUPLICATE_KEY') return 'this key is written twice in one mapping; keep one';
  if (code === 'TAB_AS_INDENT') return 'is indented with a tab; YAML wants spaces';
  if (code === 'MULTIPLE_DOCS') return 'a second document starts here; one file holds one';
  if (message.includes('call stack')) return 'is nested too deep';
  return `is not YAML: ${message.replace(/[:"'{[].*$/s, '').trim()}`;
}

function unreadable(problem: Problem): YamlDocument {
  return { value: undefined, readable: false, problems: [problem], lineOf: () => undefined };
}
