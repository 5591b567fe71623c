import { type FileHandle, link, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf } from '../lib/error-code.ts';
import { makeFolder } from '../lib/folders.ts';
import { type Random, secretToken } from '../lib/random.ts';
import { MasterKeyError } from './master-key-error.ts';

/** Windows has neither these modes nor a way to sync a directory; there the directory's own access list must protect the key. */
const POSIX = process.platform !== 'win32';

/** @returns the file's text, or `undefined` if there is no file */
export async function readMasterKeyFile(path: string): Promise<string | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    // Reads the mode of the open file, not of the path, so that nobody can swap the file in between.
    const { mode } = await file.stat();
    if (POSIX && (mode & 0o077) !== 0) throw MasterKeyError.exposed(path, mode);
    return (await file.readFile('utf8')).trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error instanceof MasterKeyError ? error : MasterKeyError.inaccessible(path, error);
  } finally {
    await file?.close();
  }
}

/**
 * Writes the whole key to another file and links it into place, so that the name never leads to half a key and the
 * first key wins.
 */
export async function makeMasterKeyFile(path: string, random: Random): Promise<void> {
  const directory = dirname(path);
  const draft = join(directory, `.master.key.${random.bytes(8).toString('hex')}`);
  try {
    makeFolder(directory, 0o700);
    await writeDurably(draft, `${secretToken(random)}\n`);
    await link(draft, path)
      .catch(unlessOneIsThere)
      .finally(() => rm(draft));
    // Otherwise a power cut could leave a store sealed under a key whose file has no name.
    if (POSIX) await sync(directory);
  } catch (error) {
    throw MasterKeyError.inaccessible(path, error);
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function sync(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  await handle.sync().finally(() => handle.close());
}

function unlessOneIsThere(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error;
}
