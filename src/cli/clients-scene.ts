import { systemClock } from '../lib/clock.ts';
import type { Store } from '../storage/store.ts';
import type { ChosenConfig } from './choose-config.ts';
import type { Arguments, Terminal } from './command.ts';

/** What each action of `latchkey clients` is given. */
export interface Scene {
  chosen: ChosenConfig;
  /** The records store, as it may be printed. */
  place: string;
  options: Arguments['options'];
  terminal: Terminal;
}

export async function withRecords<T>({ chosen, terminal }: Scene, work: (records: Store) => Promise<T>): Promise<T> {
  // Loaded here, so that the commands that open no store do not wait for it.
  const { openStores } = await import('../storage/open-stores.ts');
  const stores = await openStores(chosen.config.stores, systemClock);
  try {
    for (const warning of stores.warnings) terminal.warn(`latchkey: ${warning}`);
    return await work(stores.records);
  } finally {
    await stores.close();
  }
}
