import type { Clock } from '../lib/clock.ts';

/** The terminal and environment that a command runs in. */
export interface Terminal {
  environment: NodeJS.ProcessEnv;
  /** The time in place of the store's, for tests that move it. */
  clock?: Clock;
  /** Prints text and a line break on standard output, unless its reader has gone. */
  print(text: string): void;
  /** Tells that the reader of standard output has gone, as `head` does. */
  isUnread?(): boolean;
  /** Prints text and a line break on standard error. */
  warn(text: string): void;
  /** Asks the person at the terminal; `undefined` without a terminal. The terminal does not show a secret answer. */
  ask(question: string, options?: { isSecret?: boolean }): Promise<string | undefined>;
  /** All of standard input. */
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
  /** @returns the exit code: 0 done, 1 failed. @throws UsageError for a line that is not understood, which ends with 2 */
  run(given: Arguments, terminal: Terminal, commands: readonly Command[]): Promise<number>;
}

/** The command line cannot be parsed, whatever the configuration and the stores hold. Exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** The process in which the failure happened has already printed it. */
export class ReportedElsewhere extends Error {
  override name = 'ReportedElsewhere';
}

/** `--config FILE`, which several commands share. */
export const configOption: Readonly<Record<string, Option>> = {
  config: {
    value: 'FILE',
    summary: 'the configuration file (default: LATCHKEY_CONFIG, else latchkey.yaml where there is one)',
  },
};

/** The text that an option was given; `undefined` when it was not. */
export function textOf({ options }: Arguments, name: string): string | undefined {
  const given = options[name];
  return given === true ? undefined : given;
}

/** Says what is about to be done and asks whether to go on, unless `--yes` has said so. @throws Error without a terminal */
export async function confirmed(options: Arguments['options'], terminal: Terminal, plan: string): Promise<boolean> {
  terminal.warn(plan);
  if (options['yes'] === true) return true;
  const answer = await terminal.ask('\nGo on? [y/N] ');
  if (answer === undefined) throw new Error('there is no terminal to ask at: add --yes to continue without asking');
  const goesOn = /^y(es)?$/i.test(answer.trim());
  if (!goesOn) terminal.warn('latchkey: nothing was changed');
  return goesOn;
}
