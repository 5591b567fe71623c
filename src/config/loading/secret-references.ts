import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { codeOf } from '../../lib/file-system.ts';
import { hasValue } from './environment.ts';
import { pathText, type Fault, type Path } from '../problems.ts';
import { Secret } from '../secret.ts';
import { isMapping, required, schemaUnder } from '../schema-reflection.ts';
import { secret } from '../values.ts';

const MAX_BYTES = 65_536;

interface SecretSources {
  /** Base of relative paths. */
  folder: string;
  environment: NodeJS.ProcessEnv;
  /** Allows an unreadable secret, for commands that use no secret. */
  mayLackFiles?: boolean;
}

/** A file that holds a secret, and the setting that names it. */
export interface SecretFile {
  path: Path;
  /** The absolute path of the file. */
  file: string;
}

interface Resolved {
  value: unknown;
  files: SecretFile[];
  faults: Fault[];
  warnings: Fault[];
}

/** Replaces each `{ file: PATH }` and `{ env: NAME }` by a `Secret`, wherever the schema expects a secret. */
export function resolveSecrets(schema: unknown, value: unknown, sources: SecretSources): Resolved {
  const faults: Fault[] = [];
  const warnings: Fault[] = [];
  const files: SecretFile[] = [];

  function visit(at: unknown, current: unknown, path: Path): unknown {
    if (required(at) === secret) return current === undefined ? undefined : secretAt(current, path);
    if (Array.isArray(current))
      return current.map((item, index) => visit(schemaUnder(at, index), item, [...path, index]));
    if (!isMapping(current) || at === undefined || current instanceof Secret) return current;
    const entries = Object.entries(current);
    return Object.fromEntries(entries.map(([key, item]) => [key, visit(schemaUnder(at, key), item, [...path, key])]));
  }

  function secretAt(reference: unknown, path: Path): Secret {
    if (reference instanceof Secret) return reference;
    const read = readSecret(reference, sources, path[0] === 'clients');
    if (read.file !== undefined) files.push({ path, file: read.file });
    if (read.warning !== undefined) warnings.push({ path, message: read.warning });
    const isTolerated = sources.mayLackFiles === true && read.isAbsent === true;
    if (read.fault !== undefined && !isTolerated) faults.push({ path, message: read.fault });
    return isTolerated ? new Secret(undefined, `${pathText(path)}: ${read.fault}`) : new Secret(read.value ?? '');
  }

  return { value: visit(schema, value, []), files, faults, warnings };
}

interface Read {
  value?: string;
  file?: string;
  fault?: string;
  /** True if the reference is valid, but the command cannot read its file or variable. */
  isAbsent?: boolean;
  warning?: string;
}

/**
 * Reads the secret that a reference names. @param isOfClient true for a client secret, which `latchkey secret new` can
 * make
 */
function readSecret(reference: unknown, sources: SecretSources, isOfClient: boolean): Read {
  const [kind, ...others] = isMapping(reference) ? Object.keys(reference) : [];
  const name = isMapping(reference) && kind !== undefined ? reference[kind] : undefined;
  if (typeof name === 'string' && name !== '' && others.length === 0) {
    // The name may be the secret itself, so the message does not repeat it: it may end up in a log.
    if (kind === 'env' ? !/^[a-z_]\w*$/i.test(name) : /[\r\n]/.test(name))
      return { fault: 'must be a reference to a secret, not the secret itself; write { file: PATH } or { env: NAME }' };
    if (kind === 'env') return fromEnvironment(name, sources.environment);
    const file = resolve(sources.folder, name);
    if (kind === 'file') return { ...fromFile(file, name, isOfClient), file };
  }
  const what = isMapping(reference) ? 'is not a reference to a secret' : 'a secret may not stand in this file';
  return { fault: `${what}; write { file: PATH } or { env: NAME }` };
}

function fromEnvironment(name: string, environment: NodeJS.ProcessEnv): Read {
  if (!hasValue(environment, name)) {
    return { fault: `the environment variable ${name} is not set`, isAbsent: true };
  }
  return { value: environment[name] ?? '' };
}

function fromFile(path: string, name: string, isOfClient: boolean): Read {
  try {
    const { mode, size } = statSync(path);
    if (size > MAX_BYTES) return { fault: `the file ${name} is larger than 64 KiB` };
    // Editors and `echo` end a file with a line break, which is not part of the secret.
    const value = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    if (value === '') return { fault: `the file ${name} is empty` };
    // A world-readable file causes only a warning, because Docker and Kubernetes mount secrets that way by default.
    return (mode & 0o004) === 0
      ? { value }
      : { value, warning: `every user of this machine may read ${name}; run chmod 600 on it` };
  } catch (error) {
    const code = codeOf(error);
    const fix = isOfClient && code === 'ENOENT' ? `; create it: latchkey secret new --file ${path}` : '';
    return { fault: `the file ${path} cannot be read (${code})${fix}`, isAbsent: true };
  }
}

const LONGEST = 100;

/**
 * Returns the value at a path as JSON if a report may show it: a string, number or boolean that is not a secret. The
 * path must lead to a known setting, because the value of a mistyped key may be a secret. A string in the place of a
 * mapping is not shown, because the operator may have named a secret file as the configuration.
 */
export function quotableAt(schema: unknown, tree: unknown, path: Path): string | undefined {
  let [at, value] = [schema, tree];
  for (const step of path) {
    at = schemaUnder(at, step);
    value = isMapping(value) || Array.isArray(value) ? Object.getOwnPropertyDescriptor(value, step)?.value : undefined;
    if (at === undefined || required(at) === secret) return undefined;
  }
  return holdsMappings(at) ? undefined : shown(value);
}

function shown(value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string' || value.length > LONGEST || holdsPassword(value)) return undefined;
  // A text of several lines may be a private key.
  if (/[\r\n]/.test(value)) return undefined;
  return JSON.stringify(value);
}

function holdsMappings(schema: unknown): boolean {
  const inner = required(schema);
  if (inner instanceof z.ZodArray) return holdsMappings(inner.element);
  return inner instanceof z.ZodObject || inner instanceof z.ZodRecord;
}

/** Tells whether a text may be a URL with credentials: it contains `@` and is not an email address. */
function holdsPassword(text: string): boolean {
  return text.includes('@') && !/^[^\s:/@]+@[^\s:/@]+$/.test(text);
}
