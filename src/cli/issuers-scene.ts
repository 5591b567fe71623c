import type { Stores } from '../storage/open-stores.ts';
import { systemClock } from '../lib/clock.ts';
import type { ChosenConfig } from './choose-config.ts';
import type { Arguments, Terminal } from './command.ts';

/** What an action of `issuers` is given. */
export interface IssuersScene {
  chosen: ChosenConfig;
  /** The records store, as it may be printed. */
  place: string;
  given: Arguments;
  terminal: Terminal;
}

/** Opens the stores for one piece of work. @throws StoreUnavailable */
export async function withStores<T>({ chosen, terminal }: IssuersScene, work: (stores: Stores) => Promise<T>) {
  // Loaded here, so that the commands that open no store do not wait for it.
  const { openStores } = await import('../storage/open-stores.ts');
  const stores = await openStores(chosen.config.stores, systemClock);
  try {
    for (const warning of stores.warnings) terminal.warn(`latchkey: ${warning}`);
    return await work(stores);
  } finally {
    await stores.close();
  }
}
