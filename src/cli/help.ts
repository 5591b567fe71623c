import { findCommand } from './arguments.ts';
import { UsageError, type Command } from './command.ts';
import { helpFor, overview } from './help-text.ts';

export const help: Command = {
  name: 'help',
  summary: 'show this text, or that of one command',
  options: {},
  words: ['[COMMAND]', '[ACTION]'],
  async run({ words: [word, action] }, terminal, commands) {
    const command = word === undefined ? undefined : findCommand([word], commands, help).command;
    // The help of a command lists all its actions.
    if (action !== undefined && command?.words === undefined)
      throw new UsageError(`help ${word} does not take ${JSON.stringify(action)}`);
    terminal.print(command === undefined ? overview(commands) : helpFor(command));
    return 0;
  },
};
