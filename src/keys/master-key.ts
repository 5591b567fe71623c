import { hkdfSync } from 'node:crypto';
import { resolve, dirname, join } from 'node:path';
import { type FileHandle, link, open, rm } from 'node:fs/promises';
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose';
import { type Random, secretToken } from '../lib/random.ts';
import { codeOf, makeFolder } from '../lib/file-system.ts';
import { MasterKeyError } from './master-key-error.ts';

/** Seals secrets that the server must be able to read, but a thief of the store must not. It never reveals its key. */
export interface MasterKey {
  /** Identifies the key without revealing it; the `kid` of everything sealed under it. */
  readonly id: string;
  /** The key's file, for messages. */
  readonly path: string;
  /** @returns a compact JWE (RFC 7516), `dir` with `A256GCM`, that opens only under this key and for this purpose */
  seal(plaintext: string | Uint8Array, purpose: string): Promise<string>;
  /**
   * @throws MasterKeyError `wrong` if another master key sealed it, `damaged` if it was altered or has another purpose
   */
  open(jwe: string, purpose: string): Promise<Buffer>;
}

/**
 * Opens `master.key` in a directory: 32 bytes as base64url, readable by its owner alone. With `create`, makes a missing
 * file; processes that start at once all get the same key.
 * @throws MasterKeyError if the file is missing, malformed, readable by others, or cannot be read or made
 */
export function openMasterKey(
  directory: string,
  { create, random }: { create: boolean; random: Random },
): Promise<MasterKey> {
  return openMasterKeyFile(resolve(directory, 'master.key'), create ? random : undefined);
}

/** Opens a master key file of any name. @param random the source of a new key if the file is missing */
export async function openMasterKeyFile(path: string, random?: Random): Promise<MasterKey> {
  let text = await readMasterKeyFile(path);
  if (text === undefined && random !== undefined) {
    await makeMasterKeyFile(path, random);
    text = await readMasterKeyFile(path);
  }
  if (text === undefined) throw MasterKeyError.missing(path);
  const bytes = Buffer.from(text, 'base64url');
  // Decoding skips invalid characters, so only re-encoding proves that the text was intact.
  if (bytes.length !== 32 || bytes.toString('base64url') !== text) throw MasterKeyError.malformed(path);
  return masterKeyOf(bytes, path);
}

/** Returns the path at which the next master key is kept while the store is resealed. */
export function nextKeyFile({ path }: Pick<MasterKey, 'path'>): string {
  return `${path}.new`;
}

/** Tells whether a text is the master key itself. */
export function isMasterKey({ id, path }: MasterKey, text: string): boolean {
  return masterKeyOf(Buffer.from(text, 'base64url'), path).id === id;
}

/** Makes a master key. @param bytes the 32 bytes of the key */
function masterKeyOf(bytes: Buffer, path: string): MasterKey {
  const derive = (info: string, length: number): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', bytes, '', `latchkey master key: ${info}`, length));
  const id = Buffer.from(derive('id', 12)).toString('base64url');
  // Derives a key for each purpose, so that a sealed text cannot be moved to another record of the store.
  const keyFor = (purpose: string): Uint8Array => derive(`seal ${purpose}`, 32);

  return {
    id,
    path,
    seal(plaintext, purpose) {
      return new CompactEncrypt(Buffer.from(plaintext))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: id })
        .encrypt(keyFor(purpose));
    },
    async open(jwe, purpose) {
      try {
        const { kid } = decodeProtectedHeader(jwe);
        if (kid !== undefined && kid !== id) throw await notThisKey(path, id, kid);
        const { plaintext } = await compactDecrypt(jwe, keyFor(purpose), {
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
        });
        return Buffer.from(plaintext);
      } catch (error) {
        throw error instanceof MasterKeyError ? error : MasterKeyError.damaged(path, purpose, error);
      }
    },
  };
}

async function notThisKey(path: string, id: string, sealedUnder: string): Promise<MasterKeyError> {
  const waiting = await openMasterKeyFile(nextKeyFile({ path })).catch(() => undefined);
  return waiting?.id === sealedUnder
    ? MasterKeyError.unfinished(path, waiting.path)
    : MasterKeyError.wrong(path, id, sealedUnder);
}

/**
 * True if the system has file modes and can sync a directory. Windows has neither; there the directory's access control
 * list must protect the key.
 */
const POSIX = process.platform !== 'win32';

/** @returns the file's text, or `undefined` if there is no file */
async function readMasterKeyFile(path: string): Promise<string | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    // Reads the mode of the open file, not of the path, because somebody could swap the file in between.
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
 * Writes the whole key to a draft and links it into place, so that the path never leads to a part of a key. If several
 * processes do so at once, the first key wins.
 */
async function makeMasterKeyFile(path: string, random: Random): Promise<void> {
  const directory = dirname(path);
  const draft = join(directory, `.master.key.${random.bytes(8).toString('hex')}`);
  try {
    makeFolder(directory, 0o700);
    await writeDurably(draft, `${secretToken(random)}\n`);
    await link(draft, path)
      .catch(unlessOneIsThere)
      .finally(() => rm(draft));
    // Without this sync, a power failure could lose the name of a file whose key already seals the store.
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
