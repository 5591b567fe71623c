import { link, rename, rm } from 'node:fs/promises';
import { MasterKeyError } from './master-key-error.ts';
import type { MasterKey } from './master-key.ts';
import { ringRecords, type RingStore } from './ring-record.ts';
import { storedRing } from './transitions.ts';

/**
 * Reseals the ring under another master key in one compare-and-swap, so that one of the two keys always opens it.
 * @returns `already` if the ring was sealed under the other key before
 * @throws MasterKeyError if neither key opens it
 */
export async function resealRing(store: RingStore, from: MasterKey, to: MasterKey): Promise<'done' | 'already'> {
  for (;;) {
    if (await opens(store, to)) return 'already';
    const { content, version } = await storedRing(ringRecords(store, from));
    if (await ringRecords(store, to).write(content, version)) return 'done';
  }
}

async function opens(store: RingStore, masterKey: MasterKey): Promise<boolean> {
  try {
    await storedRing(ringRecords(store, masterKey));
    return true;
  } catch (error) {
    if (error instanceof MasterKeyError && error.reason === 'wrong') return false;
    throw error;
  }
}

/** Replaces the master key file by the new one and keeps the old one as `.old`. The file exists at every instant. */
export async function replaceKeyFile(present: string, next: string): Promise<void> {
  const old = `${present}.old`;
  await rm(old, { force: true });
  await link(present, old);
  await rename(next, present);
}
