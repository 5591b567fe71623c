import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { accountKeysFile, openBackup, type Description } from '../../backup/backup-file.ts';
import { countUnknown, restoreBackup, type Restored } from '../../backup/restore.ts';
import { BackupRefused, WrongPassphrase } from '../../backup/sealed-stream.ts';
import { printableStoreUrl } from '../../config/store-url.ts';
import { MasterKeyError } from '../../keys/master-key-error.ts';
import { openMasterKey, type MasterKey } from '../../keys/master-key.ts';
import { quoted } from '../../lib/hidden-characters.ts';
import { systemRandom } from '../../lib/random.ts';
import { grantLife } from '../../oidc/lifetimes.ts';
import { newerFormat, NEWEST_FORMAT } from '../../storage/format.ts';
import { Load } from '../../storage/loading.ts';
import { openStoresToFill, type Stores } from '../../storage/open-stores.ts';
import type { Store } from '../../storage/store.ts';
import { confirmed, textOf } from '../command.ts';
import { bullets } from '../help-text.ts';
import type { StoreContext } from '../store-context.ts';
import { keyFileOf, readKeyFile } from './backup.ts';
import { itemsText, numberText, Progress } from './progress.ts';

export async function restore(context: StoreContext, file: string): Promise<number> {
  const { chosen, place, given, terminal } = context;
  const { config } = chosen;
  accessSync(file, constants.R_OK);
  const masterKey = await openMasterKey(config.keys_dir, { create: false, random: systemRandom }).catch(
    (error: unknown) => {
      const isMissing = error instanceof MasterKeyError && error.reason === 'missing';
      throw isMissing ? MasterKeyError.missingForBackup(join(config.keys_dir, 'master.key')) : error;
    },
  );
  const secret = await readKeyFile(context, masterKey, 'restore');
  const files = await checkFiles(file, secret, masterKey, context);
  const { description, keysFile } = files;
  if (!(await confirmed(given.options, terminal, planFor(description, place)))) return 1;
  const backup = await openBackup(file, secret);
  const keys = keysFile === undefined ? undefined : await openBackup(keysFile, secret);
  const opened = [backup, ...(keys === undefined ? [] : [keys])];
  const ids = opened.map((one) => one.description.id);
  const close = (): void => opened.forEach((one) => one.close());
  const stores = await openStoresToFill(config.stores, terminal.clock).catch((error: unknown) => {
    close();
    throw error;
  });
  try {
    if (!isDeepStrictEqual(ids, files.ids))
      throw new Error(`${file} was replaced during the check: run this command again`);
    for (const warning of stores.warnings) terminal.warn(`latchkey: ${warning}`);
    const loads = await beginLoads(context, stores, ids);
    const { records, grants, clock } = stores;
    const now = (): number => clock.now();
    const progress = new Progress(terminal, 'restore');
    const notBeforeLife = grantLife(config.tokens);
    const accountKeys = keys?.items();
    const restored = await restoreBackup(
      backup.items(),
      { records, grants, loads, now, notBeforeLife, accountKeys },
      (batch) => progress.add(batch),
    );
    progress.end();
    terminal.print(resultText(restored, description, place));
    return 0;
  } finally {
    close();
    await stores.close();
  }
}

interface CheckedFiles {
  description: Description;
  /** The file with the keys of the accounts, unless they are in the backup. */
  keysFile?: string;
  /** The ids of the backups that the files are of. */
  ids: readonly string[];
}

/** Reads the files before the command writes anything. @throws Error that names the refused file */
async function checkFiles(
  file: string,
  secret: string,
  masterKey: MasterKey,
  context: Pick<StoreContext, 'given' | 'terminal'>,
): Promise<CheckedFiles> {
  const description = await named(file, context, check(file, secret, masterKey, context));
  if (description.accountKeys === undefined) return { description, ids: [description.id] };
  if (description.accountKeys === 'these') throw new Error(`${file} holds only the keys of accounts: name the backup`);
  const keysFile = textOf(context.given, 'account-keys') ?? accountKeysFile(file);
  const { id } = await named(keysFile, context, checkKeys(keysFile, description, secret, masterKey, context));
  return { description, keysFile, ids: [description.id, id] };
}

/** Puts the name of a refused file before the reason. */
function named<T>(file: string, context: Pick<StoreContext, 'given'>, checked: Promise<T>): Promise<T> {
  return checked.catch((error: unknown) => {
    if (!(error instanceof BackupRefused)) throw error;
    const tried = `. This run tried ${keyFileOf(context)}: name the key file of this backup, or another copy of the backup`;
    const advice = error instanceof WrongPassphrase ? tried : '';
    throw new Error(`${file} ${error.message}${advice}`, { cause: error });
  });
}

/** Reads the whole file with the keys of the accounts. @throws BackupRefused, also for a file of an earlier backup */
async function checkKeys(
  file: string,
  { startedAt }: Description,
  secret: string,
  masterKey: MasterKey,
  context: Pick<StoreContext, 'given' | 'terminal'>,
): Promise<Description> {
  if (!existsSync(file)) {
    throw new BackupRefused(
      'does not exist, but the backup needs the keys of its accounts: bring the file back, or name the one of a later backup ' +
        'with --account-keys FILE',
    );
  }
  const found = await check(file, secret, masterKey, context);
  if (found.accountKeys !== 'these') throw new BackupRefused('does not hold the keys of accounts');
  if (found.startedAt < startedAt)
    throw new BackupRefused('is of an earlier backup, so it lacks the keys of newer accounts: name a later one');
  return found;
}

/** Reads the whole file before the command writes anything. @throws BackupRefused, also for another master key */
async function check(
  file: string,
  secret: string,
  masterKey: MasterKey,
  { given, terminal }: Pick<StoreContext, 'given' | 'terminal'>,
): Promise<Description> {
  const { description, items, close } = await openBackup(file, secret);
  if (description.masterKey !== masterKey.id) {
    close();
    throw new BackupRefused(
      `needs the master key ${description.masterKey}, but ${masterKey.path} is ${masterKey.id}, which cannot open its keys. ` +
        'Put the master.key of the original server there',
    );
  }
  const { format = 1 } = description;
  if (format > NEWEST_FORMAT) {
    close();
    throw new BackupRefused(`cannot be restored: ${newerFormat('its store', format)}`);
  }
  const progress = new Progress(terminal, 'check of the file');
  const unknown = new Map<string, number>();
  for await (const batch of items()) {
    progress.add(batch);
    countUnknown(batch, unknown);
  }
  progress.end();
  if (unknown.size > 0 && given.options['skip-unknown'] !== true) {
    const kinds = [...unknown].map(([kind, count]) => `${quoted(kind)} (${numberText(count)})`);
    throw new BackupRefused(
      `holds records of kinds that this version of Latchkey does not know: ${kinds.join(', ')}. ` +
        'Use the version that made the backup, or add --skip-unknown to restore everything else',
    );
  }
  return description;
}

/** Marks the stores as being restored. @throws StoreLoading if a store is not empty, or if another process fills it */
async function beginLoads(
  { chosen: { config } }: Pick<StoreContext, 'chosen'>,
  { records, grants }: Stores,
  backups: readonly string[],
): Promise<Load[]> {
  const { grants: grantsUrl, records: recordsUrl = grantsUrl } = config.stores;
  const urls = [recordsUrl, grantsUrl].map(printableStoreUrl);
  // With the file of keys, so that no key that it lacks is left of an interrupted run.
  // With the places, so that half of a restore vouches for no other store than the one that the run began with.
  const source = [...backups, ...urls].join(' ');
  const begin = (store: Store, place = '', isContinued?: boolean): Promise<Load> =>
    Load.begin(store, { by: 'restore', source, place }, isContinued);
  if (grants === records) return [await begin(records, urls[0])];
  const wasBegun = await Load.isBegun(records, source);
  // A run ends the records first, so they may be complete and without a mark while the grants have one.
  const first = await begin(records, urls[0], await Load.isBegun(grants, source));
  try {
    return [first, await begin(grants, urls[1])];
  } catch (error) {
    if (!wasBegun) await first.end();
    throw error;
  }
}

function planFor({ startedAt }: Description, place: string): string {
  return `restoring the backup of ${new Date(startedAt).toISOString()} into ${place}\n${bullets([
    'accounts, passwords, clients, consents, trusted issuers and keys return to their state at the backup',
    'everybody must sign in again; refresh tokens, access tokens, codes and invitations become invalid',
    'no server may use the store until the restore has ended',
  ])}`;
}

function resultText(
  { items, skipped, erased, notBefore }: Restored,
  { startedAt }: Description,
  place: string,
): string {
  const [from, to] = [startedAt, notBefore].map((time) => new Date(time).toISOString());
  return (
    `restored ${itemsText(items)} into ${place}; skipped ${itemsText(skipped)} (sessions, tokens and the like)\n` +
    (erased === 0 ? '' : `Removed ${numberText(erased)} accounts, because they were erased after the backup.\n`) +
    `Everything issued before ${to} is invalid. Changes made after ${from} are lost. Make them again:\n` +
    bullets([
      'changed passwords and client secrets have their old values again',
      'disabled or removed accounts and clients work again, and added ones are gone',
      'withdrawn roles and consents are valid again, and removed trusted issuers are trusted again',
      'revoked signing keys sign again: run latchkey keys list, then latchkey keys revoke KID',
    ]) +
    '\nThen start the servers.'
  );
}
