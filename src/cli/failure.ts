import { resolve } from 'node:path';
import { wantsStacks } from '../config/loading/environment.ts';
import { ConfigError } from '../config/problems.ts';
import { UsageError } from './command.ts';

/** Describes a failure in one message for the operator; with the stack if the log level is `debug`. */
export function describeFailure(error: unknown, environment: NodeJS.ProcessEnv): string {
  const message = inWords(error);
  const known = error instanceof ConfigError || error instanceof UsageError;
  const stack = !known && error instanceof Error && wantsStacks(environment) ? `\n${error.stack ?? ''}` : '';
  return `latchkey: ${message}${stack}`;
}

const FILES: Readonly<Record<string, string>> = {
  ENOENT: 'is not there: name a file that is, or make it',
  EACCES: 'is closed to this user: change its owner or its mode',
  EPERM: 'is closed to this user: change its owner or its mode',
  EISDIR: 'is a folder: name the file in it',
  ENOTDIR: 'cannot be there: a part of its path is a file',
  EEXIST: 'is there already and is in the way: move it, or name another',
  EROFS: 'is on a file system that cannot be written',
  ENOSPC: 'has no room: the disk is full',
};

function inWords(error: unknown): string {
  if (!(error instanceof Error)) return `it failed with ${String(error)}`;
  // System errors carry their subject in separate fields.
  const { code, port, address, hostname, syscall, path } = Object.fromEntries<unknown>(Object.entries(error));
  if (code === 'EADDRINUSE')
    return `port ${String(port)} is in use: stop what uses it, or set another listen.port (LATCHKEY_PORT)`;
  if (code === 'EACCES' && typeof port === 'number') {
    return `port ${port} is not for this user to take: set listen.port (LATCHKEY_PORT) to one above 1023`;
  }
  if (code === 'EADDRNOTAVAIL')
    return `${String(address)} is not an address of this machine: set listen.host (LATCHKEY_HOST) to one, or to 0.0.0.0 for all`;
  if (syscall === 'getaddrinfo' && typeof hostname === 'string')
    return `listen.host ${JSON.stringify(hostname)} has no address (${String(code)}): set it (LATCHKEY_HOST) to an address of this machine, or to 0.0.0.0 for all`;
  if (typeof path === 'string' && typeof code === 'string' && code in FILES)
    return `${resolve(path)} ${FILES[code]} (${code})`;
  return error.message === '' ? error.name : error.message;
}
