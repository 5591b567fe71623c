import { resolve } from 'node:path';
import { accessSync, constants, existsSync } from 'node:fs';
import { areSameFile, codeOf } from '../../lib/file-system.ts';
import type { Fault, Problem, Path } from '../problems.ts';
import { configSchema, type Config, type Draft } from '../schema.ts';
import { isMapping } from '../schema-reflection.ts';
import { printableStoreUrl } from '../store-url.ts';
import { draftOf, validate } from '../validate.ts';
import { isLoopback } from '../rules.ts';
import {
  type YamlDocument,
  itemAt,
  newsBeside,
  problemAt,
  readDocument,
  readSource,
  refusal,
  type ConfigSource,
} from './source.ts';
import { applyEnvironment, type Overridden } from './environment.ts';
import { publishedPasswords, weakSecrets } from './secret-strength.ts';
import { resolveSecrets, type SecretFile, quotableAt } from './secret-references.ts';

export interface LoadedConfig {
  config: Config;
  /** The secret files that the configuration refers to. */
  secretFiles: readonly SecretFile[];
  /** Turns a fault of a later check into a problem, with its line or its environment variable. */
  describe: (fault: Fault) => Problem;
  /** Problems with settings that work but should change. */
  warnings: Problem[];
}

export interface LoadOptions {
  environment: NodeJS.ProcessEnv;
  /** Allows unreadable secrets and certificates, for commands that use none of them. */
  mayLackFiles?: boolean;
}

/** Reads the file, applies the environment and checks the result. @throws ConfigError with every problem */
export function loadConfig({ file, environment, ...options }: LoadOptions & { file: string }): LoadedConfig {
  return parseConfig(readSource(file), { environment, ...options });
}

/**
 * Applies the environment to a configuration that was read, and checks the result. @throws ConfigError with every
 * problem
 */
export function parseConfig(source: ConfigSource, { environment, mayLackFiles = false }: LoadOptions): LoadedConfig {
  const document = readDocument(source);
  const overridden = applyEnvironment(document.value ?? {}, environment);
  const secrets = resolveSecrets(configSchema, overridden.value, {
    ...{ folder: source.folder, environment, mayLackFiles },
  });
  const described = (fault: Fault) => describe(fault, { document, overridden, tree: secrets.value });

  const validated = validate(secrets.value);
  const faults = [...secrets.faults, ...passwordsInFile(overridden)];
  const add = (found: Fault[]) => faults.push(...newsBeside(faults, found));
  if ('faults' in validated) add(validated.faults);
  const draft = 'faults' in validated ? draftOf(secrets.value) : validated.value;
  if (!mayLackFiles) add(unreadableFiles(draft, source.folder));
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

/**
 * Refuses a secret file that is the server's master key. An app that knows the master key can read every secret of the
 * store.
 */
function masterKeysAmong(files: readonly SecretFile[], { keys_dir: keys }: Config): Fault[] {
  const masterKeys = ['master.key', 'master.key.new', 'master.key.old'].map((name) => resolve(keys, name));
  const message = 'is the master key of this server; create a separate secret: latchkey secret new --file FILE';
  return files.flatMap(({ path, file }) =>
    masterKeys.some((key) => areSameFile(key, file)) ? [{ path, message }] : [],
  );
}

/** Turns a fault into a problem that names its environment variable, or its line and its client or issuer. */
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

/**
 * Returns a hint if Kubernetes has set the port: for a service called NAME, it sets `NAME_PORT=tcp://…` in every pod of
 * the namespace.
 */
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
    return [{ path, message: `must not contain a user and password in this file; give the whole URL in ${variable}` }];
  });
}

/**
 * Warns if a loopback issuer names another port than the one that the server listens on. People reach such a server
 * without a proxy.
 */
function portWarnings({ issuer, listen }: Pick<Config, 'issuer' | 'listen'>): Fault[] {
  const url = new URL(issuer);
  const { port, tls, trusted_proxies: proxies } = listen;
  const isDirect = isLoopback(url.hostname) && proxies.length === 0 && (url.protocol === 'http:' || tls !== undefined);
  const named = url.port === '' ? (tls === undefined ? 80 : 443) : Number(url.port);
  if (!isDirect || port === 0 || named === port) return [];
  const message =
    `has port ${named}, but the server listens on port ${port}: set listen.port to ${named}, ` +
    `unless something forwards ${named} to ${port}`;
  return [{ path: ['issuer'], message }];
}

const SQLITE = 'sqlite:';

/**
 * Resolves the paths of stores, keys, certificates and modules against the folder of the configuration file, so that
 * the working directory does not matter.
 */
function withFullPaths(config: Config, folder: string): Config {
  const { tls, client_certificates: certificates } = config.listen;
  const { pkcs11 } = config.keys;
  const { grants, records, ...stores } = config.stores;
  const { outgoing } = config;
  const { breached } = config.passwords;
  const ca = certificates?.ca && { ca: resolve(folder, certificates.ca) };
  return {
    ...config,
    listen: {
      ...config.listen,
      ...(tls && { tls: { ...tls, cert: resolve(folder, tls.cert), key: resolve(folder, tls.key) } }),
      ...(certificates && { client_certificates: { ...certificates, ...ca } }),
    },
    stores: {
      ...stores,
      grants: fullStoreUrl(grants, folder),
      ...(records !== undefined && { records: fullStoreUrl(records, folder) }),
    },
    keys_dir: resolve(folder, config.keys_dir),
    ...(outgoing.ca !== undefined && { outgoing: { ...outgoing, ca: resolve(folder, outgoing.ca) } }),
    ...(breached?.file && {
      passwords: { ...config.passwords, breached: { ...breached, file: resolve(folder, breached.file) } },
    }),
    ...(pkcs11 && { keys: { ...config.keys, pkcs11: { ...pkcs11, module: resolve(folder, pkcs11.module) } } }),
  };
}

function fullStoreUrl(url: string, folder: string): string {
  return url.startsWith(SQLITE) ? `${SQLITE}${resolve(folder, url.slice(SQLITE.length))}` : url;
}

/**
 * Finds files that an earlier version kept in the working directory. Without this check, the server would ignore them
 * and start with an empty store.
 */
function movedFiles({ stores: { grants, records }, keys_dir: keys }: Config, folder: string): Fault[] {
  const files: [path: Path, file: string | undefined][] = [
    [['stores', 'grants'], fileOf(grants)],
    [['stores', 'records'], records && fileOf(records)],
    [['keys_dir'], `${keys}/master.key`],
  ];
  return files.flatMap(([path, file]) => {
    if (file === undefined || existsSync(resolve(folder, file)) || !existsSync(resolve(file))) return [];
    const [here, there] = [resolve(folder, file), resolve(file)];
    const fix = `move it, or write the full path; to start with an empty one, remove ${there}`;
    return [{ path, message: `starts from the folder of this file, where ${here} is not, but ${there} is: ${fix}` }];
  });
}

function fileOf(url: string): string | undefined {
  return url.startsWith(SQLITE) ? url.slice(SQLITE.length) : undefined;
}

/** Reports the files that the server cannot read. @param folder base of relative paths */
function unreadableFiles(
  { keys, passwords, listen, outgoing }: Pick<Draft, 'keys' | 'passwords' | 'listen' | 'outgoing'>,
  folder: string,
): Fault[] {
  const { tls, client_certificates: certificates } = listen ?? {};
  const files: [path: Path, file: string | undefined][] = [
    [['listen', 'tls', 'cert'], tls?.cert],
    [['listen', 'tls', 'key'], tls?.key],
    [['listen', 'client_certificates', 'ca'], certificates?.ca],
    [['outgoing', 'ca'], outgoing?.ca],
    [['keys', 'pkcs11', 'module'], keys?.pkcs11?.module],
    [['passwords', 'breached', 'file'], passwords?.breached?.file],
  ];
  return files.flatMap(([path, file]) => {
    const whole = resolve(folder, file ?? '');
    try {
      if (file !== undefined) accessSync(whole, constants.R_OK);
      return [];
    } catch (error) {
      return [{ path, message: `the file ${whole} cannot be read (${codeOf(error)})` }];
    }
  });
}
