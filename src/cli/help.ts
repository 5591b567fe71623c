import { findCommand } from './arguments.ts';
import type { Command } from './command.ts';
import { helpFor, overview } from './help-text.ts';

export const help: Command = {
  name: 'help',
  summary: 'show this text, or that of one command',
  options: {},
  words: ['COMMAND'],
  async run({ words }, terminal, commands) {
    const [word] = words;
    terminal.print(word === undefined ? overview(commands) : helpFor(findCommand([word], commands, help).command));
    return 0;
  },
};
