import { accounts } from './accounts/accounts.ts';
import { findCommand, readArguments } from './arguments.ts';
import { checkConfig } from './check-config.ts';
import { clients } from './clients/clients.ts';
import { ReportedElsewhere, UsageError, type Command, type Terminal } from './command.ts';
import { describeFailure } from './failure.ts';
import { helpFor } from './help-text.ts';
import { health } from './health.ts';
import { help } from './help.ts';
import { init } from './init/init.ts';
import { issuers } from './issuers/issuers.ts';
import { keys } from './keys/keys.ts';
import { revoke } from './revoke/revoke.ts';
import { secret } from './secret.ts';
import { start } from './start.ts';
import { version } from './version.ts';

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
  secret,
  help,
  version,
];

/**
 * Runs a command line and prints what went wrong with it, if anything.
 * @returns the exit code: 0 done, 1 failed, 2 not understood
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

/** Returns a hint at the help of the command that the line names, if any. */
function helpHint([first = '']: readonly string[]): string {
  const isKnown = COMMANDS.some(({ name }) => name === first);
  return isKnown && first !== 'help'
    ? `"latchkey help ${first}" shows what it takes`
    : '"latchkey help" shows what there is';
}
