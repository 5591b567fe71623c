import { hkdfSync } from 'node:crypto';
import { resolve } from 'node:path';
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose';
import type { Random } from '../lib/random.ts';
import { MasterKeyError } from './master-key-error.ts';
import { makeMasterKeyFile, readMasterKeyFile } from './master-key-file.ts';

/** Seals secrets that the server must read back and a thief of the store must not. It never reveals its key. */
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
 * file; processes that start at once all get the same key. @throws MasterKeyError if the file is missing, malformed,
 * readable by others, or cannot be read or made
 */
export function openMasterKey(
  directory: string,
  { create, random }: { create: boolean; random: Random },
): Promise<MasterKey> {
  return openMasterKeyFile(resolve(directory, 'master.key'), create ? random : undefined);
}

/** Opens a master key file of any name. @param random makes the key if the file is missing */
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

/** Returns the path of the next master key, which stays there while the store is resealed. */
export function nextKeyFile({ path }: Pick<MasterKey, 'path'>): string {
  return `${path}.new`;
}

/** @param bytes the 32 bytes of the key */
function masterKeyOf(bytes: Buffer, path: string): MasterKey {
  const derive = (info: string, length: number): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', bytes, '', `latchkey master key: ${info}`, length));
  const id = Buffer.from(derive('id', 12)).toString('base64url');
  // Derives a key for each purpose, so that a sealed text does not open in another place of the store.
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
