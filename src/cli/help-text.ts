import type { Command, Option } from './command.ts';

/** Characters that a terminal shows in two cells (Unicode Standard Annex #11), except in their halfwidth forms. */
const WIDE =
  /(?![\uff61-\uffdc])[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;

/** Returns the number of cells that a text takes in a terminal. Combining and invisible characters take none. */
function cellsOf(text: string): number {
  const visible = [...text.replaceAll(/[\p{M}\p{Cf}]/gu, '')];
  return visible.reduce((cells, character) => cells + (WIDE.test(character) ? 2 : 1), 0);
}

/** Aligns all columns of a table except the last. */
export function table(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => cellsOf(row[column] ?? ''))));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - cellsOf(cell)))).join('  ');
  return rows.map((row) => `${indent}${line(row).trimEnd()}`).join('\n');
}

export function overview(commands: readonly Command[]): string {
  return `Latchkey, a self-hosted OAuth 2.0 and OpenID Connect authorization server

Usage: latchkey [COMMAND] [OPTIONS]

Commands:
${table(commands.map((command) => [signature(command), command.summary]))}

Without a command, latchkey starts the server. "latchkey COMMAND --help" describes a command.`;
}

export function helpFor(command: Command): string {
  const options = Object.entries(command.options).map(([name, option]) => [optionText(name, option), option.summary]);
  const details = command.details === undefined ? '' : `\n\n${command.details}`;
  return `latchkey ${signature(command)}: ${command.summary}${details}

Options:
${table([...options, ['--help', 'show this text']])}`;
}

function signature({ name, words = [] }: Command): string {
  return [name, ...words].join(' ');
}

/** Formats an option: `--config FILE`. */
export function optionText(name: string, option: Option | undefined): string {
  return `--${name}${option?.value === undefined ? '' : ` ${option.value}`}`;
}

export function bullets(lines: readonly string[]): string {
  return lines.map((line) => `  - ${line}`).join('\n');
}
