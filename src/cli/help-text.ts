import type { Command, Option } from './command.ts';

/** Aligns all columns of a table except the last. */
export function table(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
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
