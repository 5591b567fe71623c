import { readFileSync } from 'node:fs';
import type { Terminal } from './command.ts';

/** The text of a file, or of standard input for `-`. @throws the system's error, with the path */
export async function readText(file: string, terminal: Pick<Terminal, 'input'>): Promise<string> {
  if (file === '-') return terminal.input();
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    // The system opens a folder before it fails to read it, and that error has no path.
    throw error instanceof Error ? Object.assign(error, { path: file }) : error;
  }
}
