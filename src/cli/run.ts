import { resolve } from 'node:path';
import { wantsStacks } from '../config/loading/environment.ts';
import { ConfigError } from '../config/problems.ts';
import { accounts } from './accounts/accounts.ts';
import { findCommand, readArguments } from './arguments.ts';
import { checkConfig } from './check-config.ts';
import { clients } from './clients/clients.ts';
import { ReportedElsewhere, UsageError, type Command, type Terminal } from './command.ts';
import { helpFor } from './help-text.ts';
import { health } from './health.ts';
import { help, version } from './about.ts';
import { init } from './init/init.ts';
import { issuers } from './issuers/issuers.ts';
import { keys } from './keys/keys.ts';
import { revoke } from './revoke/revoke.ts';
import { secret } from './secret.ts';
import { start } from './start.ts';
import { store } from './store/store.ts';

const COMMANDS: readonly Command[] = [
  start,
  health,
  init,
  checkConfig,
  accounts,
  clients,
  issuers,
  keys,
  revoke,
  store,
  secret,
  help,
  version,
];

/**
 * Runs a command line, and prints the error if it fails. @returns the exit code: 0 for success, 1 for failure, 2 for an
 * invalid command line
 */
export async function run(line: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const { command, rest } = findCommand(line, COMMANDS, start);
    const given = readArguments(command, rest);
    if (given.options['help'] !== true) return await command.run(given, terminal, COMMANDS);
    terminal.print(helpFor(command));
    return 0;
  } catch (error) {
    if (error instanceof ReportedElsewhere) return 1;
    terminal.warn(describeFailure(error, terminal.environment));
    if (!(error instanceof UsageError)) return 1;
    terminal.warn(helpHint(line));
    return 2;
  }
}

/** Returns a hint to the help of the command that the line names, or else to the general help. */
function helpHint([first = '']: readonly string[]): string {
  const isKnown = COMMANDS.some(({ name }) => name === first);
  return isKnown && first !== 'help'
    ? `"latchkey help ${first}" shows its arguments`
    : '"latchkey help" lists all commands';
}

/** Describes a failure in one message for the operator. Adds the stack trace if the log level is `debug` or `trace`. */
export function describeFailure(error: unknown, environment: NodeJS.ProcessEnv): string {
  const message = errorText(error);
  const known = error instanceof ConfigError || error instanceof UsageError;
  const stack = !known && error instanceof Error && wantsStacks(environment) ? `\n${error.stack ?? ''}` : '';
  return `latchkey: ${message}${stack}`;
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist: name an existing file',
  EACCES: 'is not accessible to this user: change its owner or its mode',
  EPERM: 'is not accessible to this user: change its owner or its mode',
  EISDIR: 'is a folder: name a file in it',
  ENOTDIR: 'cannot exist: a part of its path is a file',
  EEXIST: 'already exists and is in the way: move it, or name another',
  EROFS: 'is on a read-only file system',
  ENOSPC: 'cannot be written: the disk is full',
};

function errorText(error: unknown): string {
  if (!(error instanceof Error)) return `it failed with ${String(error)}`;
  // System errors have their port, address or path in separate members.
  const { code, port, address, hostname, syscall, path } = Object.fromEntries<unknown>(Object.entries(error));
  if (code === 'EADDRINUSE')
    return `port ${String(port)} is in use: stop the program that uses it, or set another listen.port (LATCHKEY_PORT)`;
  if (code === 'EACCES' && typeof port === 'number') {
    return `this user may not listen on port ${port}: set listen.port (LATCHKEY_PORT) to one above 1023`;
  }
  if (code === 'EADDRNOTAVAIL')
    return `${String(address)} is not an address of this machine: set listen.host (LATCHKEY_HOST) to one, or to 0.0.0.0 for all`;
  if (syscall === 'getaddrinfo' && typeof hostname === 'string')
    return `listen.host ${JSON.stringify(hostname)} has no address (${String(code)}): set it (LATCHKEY_HOST) to an address of this machine, or to 0.0.0.0 for all`;
  if (typeof path === 'string' && typeof code === 'string' && code in FILE_ERRORS)
    return `${resolve(path)} ${FILE_ERRORS[code]} (${code})`;
  return error.message === '' ? error.name : error.message;
}
