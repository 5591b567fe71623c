import { createHash } from 'node:crypto';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isDeepStrictEqual } from 'node:util';
import { accountKeysFile, writeBackup } from '../../backup/backup-file.ts';
import type { Domain } from '../../domain/domain.ts';
import { isMasterKey, openMasterKey, type MasterKey } from '../../keys/master-key.ts';
import { newId } from '../../lib/ids.ts';
import { systemRandom } from '../../lib/random.ts';
import { formatsOf, type Formats } from '../../storage/format.ts';
import { isAccountKey } from '../../storage/kinds.ts';
import type { Item } from '../../storage/store.ts';
import { textOf, UsageError } from '../command.ts';
import { withDomain, type StoreContext } from '../store-context.ts';
import { readText } from '../text-files.ts';
import { itemsText, Progress, sizeText } from './progress.ts';

/** Shortest passphrase. Nobody can guess 20 random letters; `openssl rand -base64 32` prints 44 characters. */
const MIN_PASSPHRASE_LENGTH = 20;

export async function backup(context: StoreContext, file: string): Promise<number> {
  const { terminal } = context;
  const keysFile = accountKeysFile(file);
  for (const path of [file, keysFile]) {
    if (existsSync(path))
      throw new Error(`${path} already exists and is not replaced: name another file, or remove it`);
  }
  const folder = dirname(resolve(file));
  if (!existsSync(folder)) throw new Error(`the folder ${folder} does not exist: create it, or name another`);
  const { keys_dir } = context.chosen.config;
  const masterKey = await openMasterKey(keys_dir, { create: false, random: systemRandom });
  const secret = await readKeyFile(context, masterKey, 'backup');
  return withDomain(context, async (domain) => {
    const { clock, random, records } = domain;
    // Reads the key ring first, because a backup with an unreadable ring would be useless.
    await domain.keys();
    const startedAt = clock.now();
    const progress = new Progress(terminal, 'backup');
    const formats = await formatsOf(records);
    refuseDuringUpgrade(formats);
    const id = newId('backup', clock, random);
    const description = { id, startedAt, masterKey: masterKey.id, format: formats.reads };
    const items = progress.of(everything(domain));
    await writeBackup(file, { secret, description, random }, items, accountKeys(domain, formats));
    progress.end();
    terminal.print(
      `${file}: ${itemsText(progress.items)}, ${await sizeAndHash(file)}\n` +
        `${keysFile}: the keys of the accounts, ${await sizeAndHash(keysFile)}\n` +
        `They contain everything that was acknowledged before ${new Date(startedAt).toISOString()}.`,
    );
    terminal.warn(
      `latchkey: a restore needs ${keysFile}, ${keyFileOf(context)} and ${masterKey.path}: keep copies of all, apart from the backup`,
    );
    return 0;
  });
}

/** Refuses a store whose upgrade has not ended, because a record may move between two reads on a store without snapshots. */
function refuseDuringUpgrade({ oldest, reads }: Formats): void {
  if (oldest === reads) return;
  throw new Error(
    'an upgrade of the store has not ended, and a backup could miss accounts. If no "latchkey store upgrade" runs, ' +
      'run it again. Once it has ended, run the backup again. Nothing was written',
  );
}

async function sizeAndHash(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return `${sizeText(statSync(file).size)}, SHA-256 ${hash.digest('hex')}`;
}

/** Yields all items but the keys of the accounts. The grants come first, because they refer to records. */
async function* everything({ records, grants }: Pick<Domain, 'records' | 'grants'>): AsyncGenerator<readonly Item[]> {
  for (const store of new Set([grants, records]))
    for await (const batch of store.dump()) yield batch.filter((item) => !isAccountKey(item));
}

/**
 * Yields the keys of the accounts.
 * @throws Error if an upgrade has changed the format meanwhile, because the mark may not fit the records then
 */
async function* accountKeys({ records }: Pick<Domain, 'records'>, formats: Formats): AsyncGenerator<readonly Item[]> {
  for await (const batch of records.dump()) yield batch.filter(isAccountKey);
  if (isDeepStrictEqual(await formatsOf(records), formats)) return;
  throw new Error('"latchkey store upgrade" changed the format of the store during the backup: run the backup again');
}

/** Names the origin of the passphrase, for messages. */
export function keyFileOf({ given }: Pick<StoreContext, 'given'>): string {
  const file = textOf(given, 'key-file');
  return file === undefined || file === '-' ? 'the passphrase of standard input' : `the key file ${file}`;
}

/**
 * Reads the passphrase of a backup. @throws UsageError without a key file, and Error for a short passphrase or for the
 * master key
 */
export async function readKeyFile(
  { given, terminal }: StoreContext,
  masterKey: MasterKey,
  action: string,
): Promise<string> {
  const file = textOf(given, 'key-file');
  if (file === undefined) throw new UsageError(`store ${action} needs --key-file FILE, the file with its passphrase`);
  const secret = (await readText(file, terminal)).trim();
  const mode = file === '-' ? 0 : statSync(file).mode & 0o777;
  if ((mode & 0o044) !== 0) {
    const bits = mode.toString(8).padStart(4, '0');
    throw new Error(`${file} is open to other users of this machine (mode ${bits}). Run: chmod 600 ${file}`);
  }
  if (secret.length < MIN_PASSPHRASE_LENGTH) {
    throw new Error(
      `${file} has fewer than ${MIN_PASSPHRASE_LENGTH} characters: run (umask 077; openssl rand -base64 32 > ${file})`,
    );
  }
  if (isMasterKey(masterKey, secret)) {
    throw new Error(
      `${file} holds the master key, which would open the backup and the keys in it: use another passphrase`,
    );
  }
  return secret;
}
