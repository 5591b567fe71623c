import { parseArgs } from 'node:util';
import { didYouMean } from '../config/suggest.ts';
import { UsageError, type Arguments, type Command } from './command.ts';

/** Finds the command that a command line names; a line without one is for the default. */
export function findCommand(
  line: readonly string[],
  commands: readonly Command[],
  fallback: Command,
): { command: Command; rest: string[] } {
  const [first, ...rest] = line;
  const byName = (name: string) => commands.find((command) => command.name === name);
  if (first === '--version' || first === '-v') return { command: byName('version') ?? fallback, rest };
  if (first === '--help' || first === '-h') return { command: byName('help') ?? fallback, rest };
  if (first === undefined || first.startsWith('-')) return { command: fallback, rest: [...line] };
  const command = byName(first);
  if (command !== undefined) return { command, rest };
  const names = commands.map(({ name }) => name);
  throw new UsageError(`there is no command ${JSON.stringify(first)}${didYouMean(first, names)}`);
}

/** Reads what follows a command's name. @throws UsageError in our own words: those of `parseArgs` speak of its API */
export function readArguments(command: Command, line: readonly string[]): Arguments {
  const { tokens } = parseArgs({
    args: [...line],
    options: {
      ...Object.fromEntries(
        Object.entries(command.options).map(([name, { value }]) => [
          name,
          { type: value === undefined ? ('boolean' as const) : ('string' as const) },
        ]),
      ),
      help: { type: 'boolean', short: 'h' },
    },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const options: Record<string, string | true> = {};
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind === 'option') options[token.name] = optionValue(command, token);
  }
  const allowed = command.words?.length ?? 0;
  if (words.length > allowed) throw new UsageError(`${command.name} does not take ${JSON.stringify(words[allowed])}`);
  return { options, words };
}

interface OptionToken {
  name: string;
  rawName: string;
  value?: string | undefined;
}

function optionValue(command: Command, { name, rawName, value }: OptionToken): string | true {
  const known = Object.hasOwn(command.options, name) ? command.options[name] : undefined;
  if (known === undefined && name !== 'help') {
    const names = [...Object.keys(command.options), 'help'].map((other) => `--${other}`);
    // A key's name may begin with a dash.
    const isWord = command.words !== undefined && /^-[^-]/.test(rawName);
    if (name === 'password')
      throw new UsageError(
        `${command.name} has no option --password, which everybody on this machine could read: use --password-file FILE, or - for standard input`,
      );
    const hint = isWord ? '; a word that begins with a dash stands after --' : didYouMean(rawName, names);
    throw new UsageError(`${command.name} has no option ${rawName}${hint}`);
  }
  if (known?.value === undefined) {
    if (value !== undefined) throw new UsageError(`${rawName} does not take a value`);
    return true;
  }
  if (value === undefined || value === '') throw new UsageError(`${rawName} needs a value: ${rawName} ${known.value}`);
  return value;
}
