import { parseArgs } from 'node:util';
import { didYouMean } from '../config/suggest.ts';
import { UsageError, type Arguments, type Command } from './command.ts';
import { suggestionFor, settingFor } from './meant.ts';

/** Options that may replace a command, such as `--help`. */
const IN_PLACE_OF_COMMANDS: readonly string[] = ['--version', '--help'];

/**
 * Finds the command that a command line names. If it names none, returns the default command. @throws UsageError for an
 * unknown command, and for an option in its place that is probably mistyped
 */
export function findCommand(
  line: readonly string[],
  commands: readonly Command[],
  fallback: Command,
): { command: Command; rest: string[] } {
  const [first, ...rest] = line;
  const byName = (name: string) => commands.find((command) => command.name === name);
  if (first === '--version' || first === '-v' || first === '-V')
    return { command: byName('version') ?? fallback, rest };
  if (first === '--help' || first === '-h') return { command: byName('help') ?? fallback, rest };
  if (first === undefined) return { command: fallback, rest: [] };
  if (first.startsWith('-')) {
    assertNoMistype(first, [...IN_PLACE_OF_COMMANDS, ...optionNames(fallback)]);
    assertNoCommandAfterOptions(line, commands);
    return { command: fallback, rest: [...line] };
  }
  const command = byName(first);
  if (command !== undefined) return { command, rest };
  const names = commands.map(({ name }) => name);
  throw new UsageError(`there is no command ${JSON.stringify(first)}${suggestionFor(first, names)}`);
}

function assertNoMistype(option: string, known: readonly string[]): void {
  const meant = known.includes(option.replace(/=.*/s, '')) ? '' : didYouMean(option, known);
  if (meant !== '') throw new UsageError(`there is no option ${option}${meant}`);
}

/**
 * Refuses a command after options, as in `--config FILE accounts list`. A line that begins with an option is for the
 * default command.
 */
function assertNoCommandAfterOptions(line: readonly string[], commands: readonly Command[]): void {
  const at = line.findIndex((word, i) => line[i - 1] !== '--config' && commands.some(({ name }) => name === word));
  if (at === -1) return;
  const meant = [...line.slice(at), ...line.slice(0, at)].join(' ');
  throw new UsageError(`put the command before its options: latchkey ${meant}`);
}

function optionNames({ options }: Command): string[] {
  return Object.keys(options).map((name) => `--${name}`);
}

/**
 * Parses the arguments after the command's name.
 * @throws UsageError with a message for operators, because the messages of `parseArgs` describe its API
 */
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
  if (asksForHelp(line)) return { options: { help: true }, words };
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind === 'option') options[token.name] = optionValue(command, token);
  }
  const allowed = command.words?.length ?? 0;
  const surplus = words[allowed];
  if (surplus !== undefined)
    throw new UsageError(`${command.name} does not take ${JSON.stringify(surplus)}${optionMeantBy(command, surplus)}`);
  return { options, words };
}

/** Returns ` (did you mean --account?)` for an option without its dashes, or for the name of a configuration file. */
function optionMeantBy(command: Command, word: string): string {
  const names = optionNames(command);
  if (names.includes(`--${word}`)) return ` (did you mean --${word}?)`;
  const isFile = /\.ya?ml$/.test(word) && names.includes('--config');
  return isFile ? ` (did you mean --config ${word}?)` : '';
}

/** Tells whether the line requests help, which wins over everything else on it. */
function asksForHelp(line: readonly string[]): boolean {
  const end = line.indexOf('--');
  return line.slice(0, end === -1 ? line.length : end).some((word) => word === '--help' || word === '-h');
}

interface OptionToken {
  name: string;
  rawName: string;
  value?: string | undefined;
  inlineValue?: boolean | undefined;
}

function optionValue(command: Command, { name, rawName, value, inlineValue }: OptionToken): string | true {
  const known = Object.hasOwn(command.options, name) ? command.options[name] : undefined;
  if (known === undefined && name !== 'help') throw unknownOption(command, name, rawName);
  if (known?.value === undefined) {
    if (value !== undefined) throw new UsageError(`${rawName} does not take a value`);
    return true;
  }
  // In `--config --yes`, the value of `--config` is missing. A lone `-` means standard input.
  const isMissing = value === undefined || value === '' || (inlineValue !== true && /^-./.test(value));
  if (isMissing) throw new UsageError(`${rawName} needs a value: ${rawName} ${known.value}`);
  return value;
}

function unknownOption(command: Command, name: string, rawName: string): UsageError {
  if (name === 'password')
    return new UsageError(
      `${command.name} has no option --password, because everybody on this machine could read it: use --password-file FILE, or - for standard input`,
    );
  // A key id may begin with a dash, and so look like an option.
  const isWord = command.words !== undefined && /^-[^-]/.test(rawName);
  const hint = isWord
    ? '; put an argument that begins with a dash after --'
    : suggestionFor(rawName, [...optionNames(command), '--help']) || settingFor(name);
  return new UsageError(`${command.name} has no option ${rawName}${hint}`);
}
