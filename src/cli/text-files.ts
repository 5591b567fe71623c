import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf, makeFolder } from '../lib/file-system.ts';
import type { Terminal } from './command.ts';

/** Reads the text of a file, or of standard input for `-`. @throws the system's error, with the path */
export async function readText(file: string, terminal: Pick<Terminal, 'input'>): Promise<string> {
  if (file === '-') return terminal.input();
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    // The system fails only when it reads an open folder, and its error then lacks the path.
    throw error instanceof Error ? Object.assign(error, { path: file }) : error;
  }
}

/** Writes a new file and makes its folder. @throws Error if the file exists or cannot be written */
export function writeNew(file: string, text: string, mode: number): void {
  try {
    makeFolder(dirname(file), mode === 0o600 ? 0o700 : 0o755);
    writeFileSync(file, text, { flag: 'wx', mode });
  } catch (error) {
    const code = codeOf(error);
    const reason =
      code === 'EEXIST'
        ? 'already exists and is not replaced: name another, or remove it'
        : `cannot be written (${code}): name a file in a folder that this user can write to`;
    throw new Error(`${file} ${reason}`, { cause: error });
  }
}
