import { UsageError, type Arguments, type Command } from './command.ts';
import { optionText } from './help-text.ts';
import { suggestionFor } from './meant.ts';

/** An action of a command, such as `add` in `clients add`. */
interface Action<Context> {
  /** The names of the required arguments. */
  words?: readonly string[];
  /** The command's options that this action takes, besides `--config`. */
  options?: readonly string[];
  /** Runs the action. @returns the exit code */
  run(context: Context, ...words: string[]): Promise<number>;
}

export type Actions<Context> = Readonly<Record<string, Action<Context>>>;

/**
 * Finds the action that the first word names. @throws UsageError for an unknown action, and for an argument or option
 * that the action does not take
 */
export function findAction<Context>(
  command: Pick<Command, 'name' | 'options'>,
  actions: Actions<Context>,
  { words: [name, ...words], options }: Arguments,
): { action: Action<Context>; words: string[] } {
  const action = actionNamed(command, actions, name);
  const refuse = (what: string): never => {
    throw new UsageError(`${command.name} ${name} ${what}: ${usageOf(command, name ?? '', action)}`);
  };
  const { words: needed = [] } = action;
  const [missing, surplus] = [needed[words.length], words[needed.length]];
  if (missing !== undefined) refuse(`needs ${/^[AEIOU]/.test(missing) ? 'an' : 'a'} ${missing}`);
  if (surplus !== undefined) refuse(`does not take ${JSON.stringify(surplus)}`);
  const accepted = ['config', 'help', ...(action.options ?? [])];
  const unaccepted = Object.keys(options).find((option) => !accepted.includes(option));
  if (unaccepted !== undefined) refuse(`does not take --${unaccepted}`);
  return { action, words };
}

function actionNamed<Context>(
  command: Pick<Command, 'name' | 'options'>,
  actions: Actions<Context>,
  name: string | undefined,
): Action<Context> {
  const [only, ...others] = Object.entries(actions);
  const names = Object.keys(actions);
  if (name !== undefined && Object.hasOwn(actions, name) && actions[name] !== undefined) return actions[name];
  if (name !== undefined) {
    const hint = suggestionFor(name, names) || ` (actions: ${names.join(', ')})`;
    throw new UsageError(`there is no command ${JSON.stringify(`${command.name} ${name}`)}${hint}`);
  }
  throw new UsageError(
    only !== undefined && others.length === 0
      ? `${command.name} needs an action: ${usageOf(command, ...only)}`
      : `${command.name} needs an action: ${names.join(', ')}`,
  );
}

/** Formats the usage of an action: `latchkey accounts show ACCOUNT [--json]`. */
function usageOf<Context>(
  { name: command, options }: Pick<Command, 'name' | 'options'>,
  name: string,
  { words = [], options: accepted = [] }: Action<Context>,
): string {
  const switches = accepted.map((option) => `[${optionText(option, options[option])}]`);
  return ['latchkey', command, name, ...words, ...switches].join(' ');
}
