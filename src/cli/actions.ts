import { didYouMean } from '../config/suggest.ts';
import { UsageError, type Arguments } from './command.ts';

/** What a command with several actions does for one of them, such as `clients add`. */
export interface Action<Scene> {
  /** The names of the words that must follow. */
  words?: readonly string[];
  /** Which of the command's options it takes, besides `--config`. */
  options?: readonly string[];
  /** @returns the exit code */
  run(scene: Scene, ...words: string[]): Promise<number>;
}

export type Actions<Scene> = Readonly<Record<string, Action<Scene>>>;

/** Finds the action that the first word names. @throws UsageError also for what the action does not take */
export function findAction<Scene>(
  command: string,
  actions: Actions<Scene>,
  { words: [name, ...words], options }: Arguments,
): { action: Action<Scene>; words: string[] } {
  const names = Object.keys(actions);
  if (name === undefined) throw new UsageError(`${command} needs one of ${names.join(', ')}`);
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (action === undefined) {
    throw new UsageError(`there is no command ${JSON.stringify(`${command} ${name}`)}${didYouMean(name, names)}`);
  }
  const refuse = (what: string): never => {
    throw new UsageError(`${command} ${name} ${what}`);
  };
  const { words: needed = [] } = action;
  const [missing, surplus] = [needed[words.length], words[needed.length]];
  if (missing !== undefined) refuse(`needs ${/^[AEIOU]/.test(missing) ? 'an' : 'a'} ${missing}`);
  if (surplus !== undefined) refuse(`does not take ${JSON.stringify(surplus)}`);
  const taken = ['config', 'help', ...(action.options ?? [])];
  const foreign = Object.keys(options).find((option) => !taken.includes(option));
  if (foreign !== undefined) refuse(`does not take --${foreign}`);
  return { action, words };
}
