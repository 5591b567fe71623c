import { accessSync, constants, existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { codeOf } from '../../lib/file-system.ts';
import type { Fault, Path } from '../problems.ts';
import type { Config, Draft } from '../schema.ts';

const SQLITE = 'sqlite:';

/**
 * Resolves the paths of stores, keys, certificates and modules from the folder of the file that names them, so that the
 * working directory does not matter.
 */
export function withFullPaths(config: Config, folder: string): Config {
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
 * Files that an earlier version kept in the working directory. Without this, a server that was started from another folder
 * would come up with an empty store.
 */
export function movedFiles({ stores: { grants, records }, keys_dir: keys }: Config, folder: string): Fault[] {
  const files: [path: Path, file: string | undefined][] = [
    [['stores', 'grants'], fileOf(grants)],
    [['stores', 'records'], records && fileOf(records)],
    [['keys_dir'], `${keys}/master.key`],
  ];
  return files.flatMap(([path, file]) => {
    if (file === undefined || existsSync(resolve(folder, file)) || !existsSync(resolve(file))) return [];
    const [here, there] = [resolve(folder, file), resolve(file)];
    const fix = `move it, or write the whole path; to start again, remove ${there}`;
    return [{ path, message: `starts from the folder of this file, where ${here} is not, but ${there} is: ${fix}` }];
  });
}

function fileOf(url: string): string | undefined {
  return url.startsWith(SQLITE) ? url.slice(SQLITE.length) : undefined;
}

/** @param folder base of relative paths */
export function unreadableFiles(
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
