import type { Clock } from '../lib/clock.ts';

/** The terminal and environment that a command runs in. */
export interface Terminal {
  environment: NodeJS.ProcessEnv;
  /** A clock to use in place of the store's, for tests. */
  clock?: Clock;
  /** Prints text and a line break on standard output, unless its reader has gone. */
  print(text: string): void;
  /** Tells whether the reader of standard output has gone, as `head` does. */
  isUnread?(): boolean;
  /** Prints text and a line break on standard error. */
  warn(text: string): void;
  /** Asks the person at the terminal, which does not show a secret answer. @returns `undefined` without a terminal */
  ask(question: string, options?: { isSecret?: boolean }): Promise<string | undefined>;
  /** Reads all of standard input. */
  input(): Promise<string>;
}

export interface Option {
  /** The name of the option's value in the help, such as `FILE`; without it the option is a switch. */
  value?: string;
  summary: string;
}

export interface Arguments {
  options: Readonly<Record<string, string | true>>;
  /** The words after the command. */
  words: readonly string[];
}

export interface Command {
  name: string;
  summary: string;
  /** Help text after the summary. */
  details?: string;
  options: Readonly<Record<string, Option>>;
  /** The words that follow, as the help shows them: `ACTION`, or `[COMMAND]` where it may be left out. */
  words?: readonly string[];
  /**
   * Runs the command. @returns the exit code: 0 for success, 1 for failure. @throws UsageError for an invalid command
   * line, which exits with 2
   */
  run(given: Arguments, terminal: Terminal, commands: readonly Command[]): Promise<number>;
}

/** Error for an invalid command line, whatever the configuration and the stores hold. The exit code is 2. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** Error for a failure that another process has already printed. */
export class ReportedElsewhere extends Error {
  override name = 'ReportedElsewhere';
}

/** The option `--config FILE`, which several commands share. */
export const configOption: Readonly<Record<string, Option>> = {
  config: {
    value: 'FILE',
    summary: 'the configuration file (default: LATCHKEY_CONFIG, or else latchkey.yaml in this folder)',
  },
};

/** Returns the value of an option; `undefined` if the command line does not have it. */
export function textOf({ options }: Arguments, name: string): string | undefined {
  const given = options[name];
  return given === true ? undefined : given;
}

/**
 * Prints the plan and asks whether to go on, unless `--yes` is given. @throws Error if there is no terminal to ask at
 */
export async function confirmed(options: Arguments['options'], terminal: Terminal, plan: string): Promise<boolean> {
  terminal.warn(plan);
  if (options['yes'] === true) return true;
  const answer = await terminal.ask('\nContinue? [y/N] ');
  if (answer === undefined)
    throw new Error('there is no terminal to ask for confirmation: add --yes to continue without asking');
  const isConfirmed = /^y(es)?$/i.test(answer.trim());
  if (!isConfirmed) terminal.warn('latchkey: nothing was changed');
  return isConfirmed;
}
