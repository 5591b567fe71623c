import { createCipheriv, createDecipheriv, scrypt } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { promisify } from 'node:util';
import type { Random } from '../lib/random.ts';

/** Length of a chunk in bytes. Only the last one may be shorter. */
const CHUNK = 65_536;
const TAG = 16;
const NAME = 'latchkey-backup';
const FORMAT = 1;
/** Maximum length of the first line in any format. */
const LONGEST_LINE = 64;
const SALT = 32;
const CIPHER = 'aes-256-gcm';

const derive: (secret: string, salt: Buffer, length: number, cost: object) => Promise<Buffer> = promisify(scrypt);
/** Cost of scrypt: 128 MiB and about half a second for each guess. */
const COST = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 };

/** Thrown if the file cannot be used: it is truncated, altered, no backup, of a newer format, or under another key. */
export class BackupRefused extends Error {
  override name = 'BackupRefused';
}

/** Thrown if the first chunk cannot be decrypted, most likely because the passphrase is wrong. */
export class WrongPassphrase extends BackupRefused {
  constructor(options?: ErrorOptions) {
    super('cannot be decrypted: the passphrase is wrong, or the file was truncated or altered', options);
  }
}

/**
 * The unencrypted first bytes of a file (name, format, line break, salt), and the key that is derived with the salt.
 */
interface Header {
  bytes: Buffer;
  key: Buffer;
}

export async function newHeader(secret: string, random: Random): Promise<Header> {
  const salt = random.bytes(SALT);
  return {
    bytes: Buffer.concat([Buffer.from(`${NAME} ${FORMAT}\n`), salt]),
    key: await derive(secret, salt, 32, COST),
  };
}

/**
 * Reads a header and derives the key.
 * @param start the beginning of the file, at least its header
 * @throws BackupRefused
 */
export async function readHeader(start: Buffer, secret: string): Promise<Header> {
  const line = start.subarray(0, LONGEST_LINE).indexOf('\n');
  const [name, format] = start.toString('latin1', 0, Math.max(0, line)).split(' ');
  if (line === -1 || name !== NAME || !/^\d+$/.test(format ?? '')) throw new BackupRefused('is not a Latchkey backup');
  if (Number(format) > FORMAT) {
    throw new BackupRefused(
      `has format ${format ?? ''}, but this version of Latchkey reads only ${FORMAT}: use a newer version`,
    );
  }
  const bytes = start.subarray(0, line + 1 + SALT);
  if (bytes.length < line + 1 + SALT) throw new BackupRefused('is truncated: its header is incomplete');
  return { bytes, key: await derive(secret, bytes.subarray(line + 1), 32, COST) };
}

/**
 * Builds a nonce from a chunk's number and a mark of the last one, so that chunks can be neither reordered nor cut off.
 */
function nonce(chunk: number, isLast: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(chunk, 7);
  bytes[11] = isLast ? 1 : 0;
  return bytes;
}

/**
 * Cuts a stream into pieces of a fixed length. The last piece may be shorter, and an empty stream has one empty piece.
 */
abstract class Pieces extends Transform {
  readonly #length: number;
  #held: Buffer[] = [];
  #size = 0;
  #count = 0;

  constructor(length: number) {
    super();
    this.#length = length;
  }

  protected abstract convert(piece: Buffer, chunk: number, isLast: boolean): Buffer;

  override _transform(bytes: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#held.push(bytes);
    this.#size += bytes.length;
    this.#attempt(done, () => {
      if (this.#size <= this.#length) return;
      let all = Buffer.concat(this.#held);
      for (; all.length > this.#length; all = all.subarray(this.#length)) {
        this.push(this.convert(all.subarray(0, this.#length), this.#count++, false));
      }
      [this.#held, this.#size] = [[all], all.length];
    });
  }

  override _flush(done: TransformCallback): void {
    this.#attempt(done, () => void this.push(this.convert(Buffer.concat(this.#held), this.#count, true)));
  }

  #attempt(done: TransformCallback, work: () => void): void {
    try {
      work();
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    done();
  }
}

export class Sealing extends Pieces {
  readonly #header: Header;

  constructor(header: Header) {
    super(CHUNK);
    this.#header = header;
    this.push(header.bytes);
  }

  protected override convert(piece: Buffer, chunk: number, isLast: boolean): Buffer {
    const cipher = createCipheriv(CIPHER, this.#header.key, nonce(chunk, isLast)).setAAD(this.#header.bytes);
    return Buffer.concat([cipher.update(piece), cipher.final(), cipher.getAuthTag()]);
  }
}

/** Decrypts the chunks that follow the header. */
export class Opening extends Pieces {
  readonly #header: Header;

  constructor(header: Header) {
    super(CHUNK + TAG);
    this.#header = header;
  }

  protected override convert(piece: Buffer, chunk: number, isLast: boolean): Buffer {
    try {
      const end = piece.length - TAG;
      const decipher = createDecipheriv(CIPHER, this.#header.key, nonce(chunk, isLast), { authTagLength: TAG })
        .setAAD(this.#header.bytes)
        .setAuthTag(piece.subarray(end));
      return Buffer.concat([decipher.update(piece.subarray(0, end)), decipher.final()]);
    } catch (error) {
      if (chunk === 0) throw new WrongPassphrase({ cause: error });
      throw new BackupRefused(`was truncated or altered after its first ${chunk * CHUNK} bytes`, { cause: error });
    }
  }
}
