import { wantsStacks } from '../config/environment.ts';
import { ConfigError } from '../config/problems.ts';
import { UsageError } from './command.ts';

/** What went wrong, as one message for the operator; with the stack when the log level is `debug`. */
export function describeFailure(error: unknown, environment: NodeJS.ProcessEnv): string {
  const message = inWords(error);
  const known = error instanceof ConfigError || error instanceof UsageError;
  const stack = !known && error instanceof Error && wantsStacks(environment) ? `\n${error.stack ?? ''}` : '';
  return `latchkey: ${message}${stack}`;
}

function inWords(error: unknown): string {
  if (!(error instanceof Error)) return `it failed with ${String(error)}`;
  // The system's errors carry what they are about as fields of their own.
  const { code, port, address } = Object.fromEntries<unknown>(Object.entries(error));
  if (code === 'EADDRINUSE') return `port ${String(port)} is in use: stop what uses it, or set LATCHKEY_PORT`;
  if (code === 'EACCES' && typeof port === 'number') {
    return `port ${port} is not for this user to take: set LATCHKEY_PORT to one above 1023`;
  }
  if (code === 'EADDRNOTAVAIL') return `${String(address)} is not an address of this machine: set LATCHKEY_HOST`;
  return error.message === '' ? error.name : error.message;
}
