import type { Arguments, Terminal } from './command.ts';

/** Says what is about to be done and asks whether to go on, unless `--yes` has said so. @throws Error without a terminal */
export async function confirmed(options: Arguments['options'], terminal: Terminal, plan: string): Promise<boolean> {
  terminal.warn(plan);
  if (options['yes'] === true) return true;
  const answer = await terminal.ask('\nGo on? [y/N] ');
  if (answer === undefined) throw new Error('there is no terminal to ask at: add --yes to go on without a question');
  const goesOn = /^y(es)?$/i.test(answer.trim());
  if (!goesOn) terminal.warn('latchkey: nothing was changed');
  return goesOn;
}
