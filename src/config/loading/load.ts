import { resolve } from 'node:path';
import { areSameFile } from '../../lib/file-system.ts';
import type { YamlDocument } from './document.ts';
import { applyEnvironment, type Overridden } from './environment.ts';
import { movedFiles, unreadableFiles, withFullPaths } from './paths.ts';
import type { Fault, Problem } from '../problems.ts';
import { configSchema, type Config } from '../schema.ts';
import { publishedPasswords, weakSecrets } from './secret-strength.ts';
import { resolveSecrets, type SecretFile, quotableAt } from './secret-references.ts';
import { isMapping } from '../schema-reflection.ts';
import { itemAt, newsBeside, problemAt, readDocument, readSource, refusal, type ConfigSource } from './source.ts';
import { printableStoreUrl } from '../store-url.ts';
import { draftOf, validate } from '../validate.ts';
import { isLoopback } from '../rules.ts';

export interface LoadedConfig {
  config: Config;
  /** The files of secrets that the configuration names. */
  secretFiles: readonly SecretFile[];
  /** Formats a fault of a later check like the warnings. */
  describe: (fault: Fault) => Problem;
  /** Settings that work but should change. */
  warnings: Problem[];
}

export interface LoadOptions {
  environment: NodeJS.ProcessEnv;
  /** Allows unreadable secrets and certificates, for commands that use none of them. */
  areFilesSpared?: boolean;
}

/** Reads the file, applies the environment and checks the result. @throws ConfigError with every problem */
export function loadConfig({ file, environment, ...options }: LoadOptions & { file: string }): LoadedConfig {
  return parseConfig(readSource(file), { environment, ...options });
}

/** @throws ConfigError with every problem */
export function parseConfig(source: ConfigSource, { environment, areFilesSpared = false }: LoadOptions): LoadedConfig {
  const document = readDocument(source);
  const overridden = applyEnvironment(document.value ?? {}, environment);
  const secrets = resolveSecrets(configSchema, overridden.value, {
    ...{ folder: source.folder, environment, areSpared: areFilesSpared },
  });
  const described = (fault: Fault) => describe(fault, { document, overridden, tree: secrets.value });

  const validated = validate(secrets.value);
  const faults = [...secrets.faults, ...passwordsInFile(overridden)];
  const add = (found: Fault[]) => faults.push(...newsBeside(faults, found));
  if ('faults' in validated) add(validated.faults);
  const draft = 'faults' in validated ? draftOf(secrets.value) : validated.value;
  if (!areFilesSpared) add(unreadableFiles(draft, source.folder));
  add([...weakSecrets(draft.clients), ...publishedPasswords(draft.accounts)]);
  if ('value' in validated) {
    add(movedFiles(validated.value, source.folder));
    const config = withFullPaths(validated.value, source.folder);
    add(masterKeysAmong(secrets.files, config));
    if (faults.length === 0 && document.problems.length === 0)
      return {
        config,
        secretFiles: secrets.files,
        describe: described,
        warnings: [...secrets.warnings, ...portWarnings(config)].map(described),
      };
  }
  throw refusal(source, [...document.problems, ...faults.map(described)]);
}

interface Context {
  document: YamlDocument;
  overridden: Overridden;
  tree: unknown;
}

/** An app that knows the master key can read every secret of the store. */
function masterKeysAmong(files: readonly SecretFile[], { keys_dir: keys }: Config): Fault[] {
  const masterKeys = ['master.key', 'master.key.new', 'master.key.old'].map((name) => resolve(keys, name));
  const message = 'is the master key of this server; make a secret of its own: latchkey secret new --file FILE';
  return files.flatMap(({ path, file }) =>
    masterKeys.some((key) => areSameFile(key, file)) ? [{ path, message }] : [],
  );
}

/** Locates a fault for the operator: its variable or line, and its client. */
function describe({ path, message }: Fault, { document, overridden, tree }: Context): Problem {
  const variable = overridden.variableAt(path);
  const value = quotableAt(configSchema, overridden.value, path);
  if (variable !== undefined)
    return {
      path: variable,
      message: `${message}${serviceLinkHint(variable, tree)}`,
      ...(value !== undefined && { value }),
    };
  return problemAt(path, `${itemAt(path, tree)}${message}`, document, value);
}

/** Kubernetes sets `NAME_PORT=tcp://…` in every pod beside a service called NAME. */
function serviceLinkHint(variable: string, tree: unknown): string {
  const listen = isMapping(tree) ? tree['listen'] : undefined;
  const port = isMapping(listen) ? listen['port'] : undefined;
  const linked = variable === 'LATCHKEY_PORT' && typeof port === 'string' && port.startsWith('tcp://');
  return linked ? '; Kubernetes set it for a service called latchkey: set enableServiceLinks to false' : '';
}

function passwordsInFile({ value, variableAt }: Overridden): Fault[] {
  const stores = isMapping(value) && isMapping(value['stores']) ? value['stores'] : {};
  return Object.entries({ grants: 'LATCHKEY_STORE', records: 'LATCHKEY_RECORDS_STORE' }).flatMap(([role, variable]) => {
    const url = stores[role];
    const path = ['stores', role];
    if (typeof url !== 'string' || url === printableStoreUrl(url) || variableAt(path) !== undefined) return [];
    return [{ path, message: `a user and password may not stand in this file; give the whole URL by ${variable}` }];
  });
}

/** Compares the port of a loopback issuer with the listening port: people reach such a server without a proxy. */
function portWarnings({ issuer, listen }: Pick<Config, 'issuer' | 'listen'>): Fault[] {
  const url = new URL(issuer);
  const { port, tls, trusted_proxies: proxies } = listen;
  const isDirect = isLoopback(url.hostname) && proxies.length === 0 && (url.protocol === 'http:' || tls !== undefined);
  const named = url.port === '' ? (tls === undefined ? 80 : 443) : Number(url.port);
  if (!isDirect || port === 0 || named === port) return [];
  const message =
    `names port ${named}, but the server listens on port ${port}: write listen.port: ${named}, ` +
    `unless something passes ${named} on to ${port}`;
  return [{ path: ['issuer'], message }];
}
