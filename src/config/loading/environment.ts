import type { Path } from '../problems.ts';
import { isMapping } from '../schema-reflection.ts';

/** Returns the process's environment. No other module reads it; each receives the values that it needs. */
export function processEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}

/** Environment variables that override a setting, and the path of each setting. */
const OVERRIDES = {
  LATCHKEY_ISSUER: ['issuer'],
  LATCHKEY_HOST: ['listen', 'host'],
  LATCHKEY_PORT: ['listen', 'port'],
  LATCHKEY_STORE: ['stores', 'grants'],
  LATCHKEY_RECORDS_STORE: ['stores', 'records'],
  LATCHKEY_KEYS_DIR: ['keys_dir'],
  LATCHKEY_LOG_LEVEL: ['log', 'level'],
  LATCHKEY_WORKERS: ['workers'],
  LATCHKEY_DRAIN_DELAY: ['drain', 'delay'],
} as const satisfies Record<string, readonly string[]>;

/**
 * Defaults that an image or a package sets. They apply only if neither the file nor another variable sets the value.
 */
const DEFAULTS = {
  LATCHKEY_DEFAULT_HOST: ['listen', 'host'],
  LATCHKEY_DEFAULT_STORE: ['stores', 'grants'],
  LATCHKEY_DEFAULT_KEYS_DIR: ['keys_dir'],
} as const satisfies Record<string, readonly string[]>;

const NUMBERS: readonly string[] = ['LATCHKEY_PORT', 'LATCHKEY_WORKERS'];

export interface Overridden {
  value: unknown;
  /** Returns the variable that set a value, if any. */
  variableAt: (path: Path) => string | undefined;
}

/** Overrides settings of the file by the environment. An empty variable counts as unset, as in Compose files. */
export function applyEnvironment(value: unknown, environment: NodeJS.ProcessEnv): Overridden {
  const given: [name: string, path: readonly string[]][] = [
    ...Object.entries(OVERRIDES).filter(([name]) => hasValue(environment, name)),
    ...Object.entries(DEFAULTS).filter(([name, path]) => hasValue(environment, name) && isOpen(value, path)),
  ];
  // If several variables name a setting, the first one wins.
  const overridden = given
    .toReversed()
    .reduce<unknown>((tree, [name, path]) => put(tree, path, read(name, environment)), value);
  return {
    value: overridden,
    variableAt: (path) => given.find(([, known]) => known.join() === path.join())?.[0],
  };
}

function isOpen(tree: unknown, [first = '', ...rest]: readonly string[]): boolean {
  const found = isMapping(tree) ? tree[first] : undefined;
  return rest.length === 0 ? found === undefined || found === null : isOpen(found, rest);
}

export function hasValue(environment: NodeJS.ProcessEnv, name: string): boolean {
  return environment[name] !== undefined && environment[name] !== '';
}

function read(name: string, environment: NodeJS.ProcessEnv): string | number | undefined {
  const text = environment[name];
  return text !== undefined && NUMBERS.includes(name) && /^\d{1,9}$/.test(text) ? Number(text) : text;
}

/** Sets the value at a path. If a parent is not a mapping, leaves the tree unchanged for the schema to report. */
function put(tree: unknown, path: readonly string[], value: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return value;
  if (tree === undefined || tree === null) return { [first]: put(undefined, rest, value) };
  return isMapping(tree) ? { ...tree, [first]: put(tree[first], rest, value) } : tree;
}

/** Returns the configuration file that LATCHKEY_CONFIG names. It applies if the command line has no `--config`. */
export function configNamedBy(environment: NodeJS.ProcessEnv): string | undefined {
  return hasValue(environment, 'LATCHKEY_CONFIG') ? environment['LATCHKEY_CONFIG'] : undefined;
}

/** Tells whether the operator wants stack traces: `LATCHKEY_LOG_LEVEL` is `debug` or `trace`. */
export function wantsStacks(environment: NodeJS.ProcessEnv): boolean {
  return ['debug', 'trace'].includes(environment['LATCHKEY_LOG_LEVEL'] ?? '');
}
