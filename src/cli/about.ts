import { readFileSync } from 'node:fs';
import { isMapping } from '../config/schema-reflection.ts';
import { type Command, UsageError } from './command.ts';
import { findCommand } from './arguments.ts';
import { helpFor, overview } from './help-text.ts';

export const version: Command = {
  name: 'version',
  summary: 'print the version',
  options: {},
  async run(_given, terminal) {
    terminal.print(`latchkey ${ownVersion()} (Node.js ${process.versions.node})`);
    return 0;
  },
};

function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return isMapping(manifest) ? String(manifest['version']) : 'unknown';
}

export const help: Command = {
  name: 'help',
  summary: 'show this text, or the help of one command',
  options: {},
  words: ['[COMMAND]', '[ACTION]'],
  async run({ words: [word, action] }, terminal, commands) {
    const command = word === undefined ? undefined : findCommand([word], commands, help).command;
    // The help of a command lists all its actions, so `help COMMAND ACTION` prints the same text.
    if (action !== undefined && command?.words === undefined)
      throw new UsageError(`help ${word} does not take ${JSON.stringify(action)}`);
    terminal.print(command === undefined ? overview(commands) : helpFor(command));
    return 0;
  },
};
