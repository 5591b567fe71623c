import type { Config } from '../config/schema.ts';
import { printableStoreUrl } from '../config/store-url.ts';
import { systemClock } from '../lib/clock.ts';
import type { Stores } from '../storage/open-stores.ts';
import { chooseConfig, type ChosenConfig } from './choose-config.ts';
import { textOf, type Arguments, type Terminal } from './command.ts';

/** What an action is given that works on what the configuration and the store hold side by side. */
export interface StoreScene {
  chosen: ChosenConfig;
  /** The records store, as it may be printed. */
  place: string;
  given: Arguments;
  terminal: Terminal;
}

export function storeScene(given: Arguments, terminal: Terminal): StoreScene {
  const chosen = chooseConfig(textOf(given, 'config'), terminal.environment);
  const { grants, records = grants } = chosen.config.stores;
  return { chosen, place: printableStoreUrl(records), given, terminal };
}

/** Opens the stores for one piece of work. @throws StoreUnavailable */
export async function withStores<T>(
  { stores: settings }: Config,
  terminal: Terminal,
  work: (stores: Stores) => Promise<T>,
): Promise<T> {
  // Loaded here, so that the commands that open no store do not wait for it.
  const { openStores } = await import('../storage/open-stores.ts');
  const stores = await openStores(settings, systemClock);
  try {
    for (const warning of stores.warnings) terminal.warn(`latchkey: ${warning}`);
    return await work(stores);
  } finally {
    await stores.close();
  }
}

/** Says what has become of an item that was to be taken out of the store. @returns the exit code */
export function removed(
  { chosen, place, terminal }: StoreScene,
  { name, wasStored, isConfigured, ends }: { name: string; wasStored: boolean; isConfigured: boolean; ends: string },
): number {
  const source = chosen.file ?? 'the demo';
  if (wasStored) {
    terminal.print(`removed ${name} from ${place}${isConfigured ? `; the one of ${source} stays` : ''}`);
    return 0;
  }
  const reason = isConfigured
    ? `${name} is of the configuration: remove it from ${source} and start the server again, then "${ends}"`
    : `there is no ${name} in ${place}`;
  terminal.warn(`latchkey: ${reason}`);
  return 1;
}
