import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline, Readable, type Transform } from 'node:stream';
import { pipeline as pipelineOf } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import { codeOf } from '../lib/file-system.ts';
import type { Random } from '../lib/random.ts';
import type { Item } from '../storage/store.ts';
import { BackupRefused, newHeader, Opening, readHeader, Sealing } from './sealed-stream.ts';

/** The first line of the content, which describes the backup. */
export interface Description {
  /** Identifies this backup. */
  id: string;
  /** Milliseconds since the epoch. Everything that was acknowledged before this time is in the file. */
  startedAt: number;
  /** The id of the master key that opens the key ring in the backup. */
  masterKey: string;
  /** The newest format of a record in the backup. Backups of earlier versions do not name it, and have format 1. */
  format?: number;
  /** `apart`: the keys of the accounts are in a second file. `these`: this is such a file. Absent: they are in the backup. */
  accountKeys?: 'apart' | 'these';
}

/** The last line of the content. Without it, the content is incomplete. */
interface End {
  end: number;
}

/** Number of bytes that are read to find the header, which is shorter. */
const HEADER_BYTES = 1024;

type Batches = AsyncIterable<readonly Item[]>;

/** Returns the name of the file with the keys of the accounts in a backup. */
export function accountKeysFile(file: string): string {
  return `${file}.keys`;
}

interface BackupContent {
  secret: string;
  description: Description;
  random: Random;
}

/**
 * Writes new files that only their owner can read: the backup, and the keys of its accounts if they are given. The files
 * get their names once both are complete and on the disk. The keys are read and written after the backup, so that no
 * account in the backup lacks its key, unless it has been erased. They get their name first.
 * @throws Error if a file exists or cannot be written
 */
export async function writeBackup(
  file: string,
  content: BackupContent,
  items: Batches,
  accountKeys?: Batches,
): Promise<void> {
  const keysFile = accountKeysFile(file);
  const made: string[] = [];
  try {
    const { description } = content;
    const apart: Description = { ...description, accountKeys: 'apart' };
    await writeDraft(file, { ...content, description: accountKeys === undefined ? description : apart }, items, made);
    if (accountKeys !== undefined) {
      const these: Description = { ...description, accountKeys: 'these' };
      await writeDraft(keysFile, { ...content, description: these }, accountKeys, made);
      await publish(`${keysFile}.part`, keysFile);
      made.push(keysFile);
    }
    await publish(`${file}.part`, file);
  } catch (error) {
    for (const path of made) await rm(path, { force: true });
    const code = codeOf(error);
    if (code === 'EEXIST')
      throw new Error(`${file} or ${file}.part already exists: name another file, or remove it`, { cause: error });
    if (code.startsWith('E')) throw new Error(`${file} cannot be written (${code})`, { cause: error });
    throw error;
  }
}

/** Writes a draft, and notes that this process made it. */
async function writeDraft(
  file: string,
  { secret, description, random }: BackupContent,
  items: Batches,
  made: string[],
): Promise<void> {
  const header = await newHeader(secret, random);
  const draft = `${file}.part`;
  const output = (await open(draft, 'wx', 0o600)).createWriteStream({ flush: true });
  made.push(draft);
  await pipelineOf(Readable.from(linesOf(description, items)), createZstdCompress(), new Sealing(header), output);
}

/**
 * Gives a complete file its name. The name is reserved first, so that no other file is replaced. Unlike a hard link,
 * this works on every file system.
 */
async function publish(draft: string, file: string): Promise<void> {
  const reserved = await open(file, 'wx', 0o600);
  await reserved.close();
  try {
    await rename(draft, file);
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
  await syncFolder(dirname(file));
}

/** Error codes of file systems that cannot open or flush a folder. Their files are flushed all the same. */
const UNSYNCABLE: ReadonlySet<string> = new Set(['EACCES', 'EINVAL', 'EISDIR', 'ENOTSUP', 'EPERM']);

/** Flushes a folder, so that the new name in it survives a power loss. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    if (!UNSYNCABLE.has(codeOf(error))) throw error;
  }
}

async function* linesOf(description: Description, items: Batches): AsyncGenerator<string> {
  yield `${JSON.stringify(description)}\n`;
  let count = 0;
  for await (const batch of items) {
    count += batch.length;
    yield batch.map((item) => `${JSON.stringify(toJson(item))}\n`).join('');
  }
  yield `${JSON.stringify({ end: count } satisfies End)}\n`;
}

function toJson(item: Item): unknown {
  return item.kind === 'bitmap' ? { ...item, bits: item.bits.toString('base64') } : item;
}

/** A backup file that is open for reading. */
interface OpenBackup {
  description: Description;
  /**
   * Reads the items. It may be called once.
   * @throws BackupRefused while iterating, if the file is incomplete or altered
   */
  items: () => Batches;
  close: () => void;
}

/** Opens a file and reads its description. @throws BackupRefused, or the system's error */
export async function openBackup(file: string, secret: string): Promise<OpenBackup> {
  const handle = await open(file, 'r');
  const start = Buffer.alloc(HEADER_BYTES);
  const { bytesRead } = await handle.read(start, 0, HEADER_BYTES, 0).finally(() => handle.close());
  const header = await readHeader(start.subarray(0, bytesRead), secret);
  const source = createReadStream(file, { start: header.bytes.length });
  // If any of the streams fails, the last one fails too, which is the one that is read.
  const content = decryptedContent(source, new Opening(header), createZstdDecompress());
  const lines = linesIn(content);
  const next = async (): Promise<unknown> => {
    try {
      const line = await lines.next();
      if (line.done !== true) return JSON.parse(line.value);
    } catch (error) {
      throw refusal(error);
    }
    throw new BackupRefused('is incomplete: its end is missing');
  };
  const description = (await next()) as Description; // authenticated: only a holder of the key can have written it
  return { description, items: () => itemsIn(next), close: () => void content.destroy() };
}

function decryptedContent(source: Readable, opening: Opening, decompressing: Transform): Readable {
  pipeline(source, opening, decompressing, () => undefined);
  return decompressing;
}

async function* linesIn(content: Readable): AsyncGenerator<string> {
  let rest = '';
  const decoder = new StringDecoder('utf8');
  for await (const bytes of content) {
    const lines = (rest + decoder.write(bytes as Buffer)).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

/** Converts an error of decoding to BackupRefused. An error of the operating system passes through. */
function refusal(error: unknown): unknown {
  const isKnown = error instanceof BackupRefused || (error instanceof Error && 'syscall' in error);
  return isKnown ? error : new BackupRefused('does not contain a valid backup', { cause: error });
}

async function* itemsIn(next: () => Promise<unknown>): AsyncGenerator<readonly Item[]> {
  let batch: Item[] = [];
  for (let count = 0; ; count += 1) {
    const line = (await next()) as End | Item;
    if (!('kind' in line)) {
      if (line.end !== count) throw new BackupRefused(`has ${count} items instead of ${line.end}`);
      if (batch.length > 0) yield batch;
      return;
    }
    batch.push(line.kind === 'bitmap' ? { ...line, bits: Buffer.from(String(line.bits), 'base64') } : line);
    if (batch.length === 500) {
      yield batch;
      batch = [];
    }
  }
}
