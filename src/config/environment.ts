import type { Path } from './problems.ts';
import { isMapping } from './shape.ts';

/** The only reader of the process's environment; everything else is handed what it needs. */
export function processEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}

/** The settings that a deployment may give by environment, and where each belongs. */
const OVERRIDES = {
  LATCHKEY_ISSUER: ['issuer'],
  LATCHKEY_HOST: ['listen', 'host'],
  LATCHKEY_PORT: ['listen', 'port'],
  LATCHKEY_STORE: ['stores', 'grants'],
  LATCHKEY_RECORDS_STORE: ['stores', 'records'],
  LATCHKEY_KEYS_DIR: ['keys_dir'],
  LATCHKEY_LOG_LEVEL: ['log', 'level'],
  LATCHKEY_WORKERS: ['workers'],
} as const satisfies Record<string, readonly string[]>;

const NUMBERS: readonly string[] = ['LATCHKEY_PORT', 'LATCHKEY_WORKERS'];

export interface Overridden {
  value: unknown;
  /** The variable that a setting came from, if one did. */
  variableAt: (path: Path) => string | undefined;
}

/** Puts the environment's settings over those of the file. An empty variable counts as unset, as in Compose files. */
export function applyEnvironment(value: unknown, environment: NodeJS.ProcessEnv): Overridden {
  const given = Object.entries(OVERRIDES).filter(([name]) => hasValue(environment, name));
  const overridden = given.reduce<unknown>((tree, [name, path]) => put(tree, path, read(name, environment)), value);
  return {
    value: overridden,
    variableAt: (path) => given.find(([, known]) => known.join() === path.join())?.[0],
  };
}

export function hasValue(environment: NodeJS.ProcessEnv, name: string): boolean {
  return environment[name] !== undefined && environment[name] !== '';
}

function read(name: string, environment: NodeJS.ProcessEnv): string | number | undefined {
  const text = environment[name];
  return text !== undefined && NUMBERS.includes(name) && /^\d{1,9}$/.test(text) ? Number(text) : text;
}

/** A tree that is not made of mappings is left as it is, for the schema to complain about. */
function put(tree: unknown, path: readonly string[], value: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return value;
  if (tree === undefined || tree === null) return { [first]: put(undefined, rest, value) };
  return isMapping(tree) ? { ...tree, [first]: put(tree[first], rest, value) } : tree;
}

/** Whether the operator asks for stacks: `LATCHKEY_LOG_LEVEL` of `debug` or `trace`. */
export function wantsStacks(environment: NodeJS.ProcessEnv): boolean {
  return ['debug', 'trace'].includes(environment['LATCHKEY_LOG_LEVEL'] ?? '');
}
