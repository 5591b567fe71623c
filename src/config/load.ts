import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { codeOf } from '../lib/error-code.ts';
import type { YamlDocument } from './document.ts';
import { applyEnvironment, type Overridden } from './environment.ts';
import type { Fault, Path, Problem } from './problems.ts';
import { configSchema, type Config } from './schema.ts';
import { resolveSecrets } from './secret-references.ts';
import { isMapping } from './shape.ts';
import { itemAt, newsBeside, problemAt, readDocument, readSource, refusal, type ConfigSource } from './source.ts';
import { printableStoreUrl } from './store-url.ts';
import { validate } from './validate.ts';

export interface LoadedConfig {
  config: Config;
  /** What works but should not stay as it is. */
  warnings: Problem[];
}

/**
 * Reads the file, puts the environment's settings over it and checks the whole.
 * @throws ConfigError with every problem
 */
export function loadConfig({ file, environment }: { file: string; environment: NodeJS.ProcessEnv }): LoadedConfig {
  return parseConfig(readSource(file), environment);
}

/** @throws ConfigError with every problem */
export function parseConfig(source: ConfigSource, environment: NodeJS.ProcessEnv): LoadedConfig {
  const document = readDocument(source);
  const overridden = applyEnvironment(document.value ?? {}, environment);
  const secrets = resolveSecrets(configSchema, overridden.value, { folder: source.folder, environment });
  const described = (fault: Fault) => describe(fault, { document, overridden, tree: secrets.value });

  const validated = validate(secrets.value);
  const faults = [...secrets.faults, ...passwordsInFile(overridden)];
  if ('value' in validated) {
    const config = withFullPaths(validated.value, source.folder);
    faults.push(...unreadableFiles(config));
    if (faults.length === 0 && document.problems.length === 0)
      return { config, warnings: secrets.warnings.map(described) };
  } else {
    faults.push(...newsBeside(faults, validated.faults));
  }
  throw refusal(source, [...document.problems, ...faults.map(described)]);
}

interface Context {
  document: YamlDocument;
  overridden: Overridden;
  tree: unknown;
}

/** Says where the operator finds the fault: the variable or the line it comes from, and the client it is about. */
function describe({ path, message }: Fault, { document, overridden, tree }: Context): Problem {
  const variable = overridden.variableAt(path);
  if (variable !== undefined) return { path: variable, message: `${message}${serviceLinkHint(variable, tree)}` };
  return problemAt(path, `${itemAt(path, tree)}${message}`, document);
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

/** Certificates and modules lie beside the file that names them, wherever the server is started. */
function withFullPaths(config: Config, folder: string): Config {
  const { tls, client_certificates: certificates } = config.listen;
  const { pkcs11 } = config.keys;
  const ca = certificates?.ca && { ca: resolve(folder, certificates.ca) };
  return {
    ...config,
    listen: {
      ...config.listen,
      ...(tls && { tls: { cert: resolve(folder, tls.cert), key: resolve(folder, tls.key) } }),
      ...(certificates && { client_certificates: { ...certificates, ...ca } }),
    },
    ...(pkcs11 && { keys: { ...config.keys, pkcs11: { ...pkcs11, module: resolve(folder, pkcs11.module) } } }),
  };
}

function unreadableFiles({ keys, listen: { tls, client_certificates: certificates } }: Config): Fault[] {
  const files: [path: Path, file: string | undefined][] = [
    [['listen', 'tls', 'cert'], tls?.cert],
    [['listen', 'tls', 'key'], tls?.key],
    [['listen', 'client_certificates', 'ca'], certificates?.ca],
    [['keys', 'pkcs11', 'module'], keys.pkcs11?.module],
  ];
  return files.flatMap(([path, file]) => {
    try {
      if (file !== undefined) accessSync(file, constants.R_OK);
      return [];
    } catch (error) {
      return [{ path, message: `the file cannot be read (${codeOf(error)})` }];
    }
  });
}
