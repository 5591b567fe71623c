import { printableStoreUrl } from '../config/store-url.ts';
import { foreignStore, originOf } from '../credentials/store-origin.ts';
import type { Domain } from '../domain/domain.ts';
import { systemRandom } from '../lib/random.ts';
import type { Stores } from '../storage/open-stores.ts';
import { StoreMissing } from '../storage/store.ts';
import type { Account } from '../accounts/account.ts';
import type { Config } from '../config/schema.ts';
import { durationText } from '../lib/clock.ts';
import { appsWithAccess, liveSessions } from '../sessions/access.ts';
import { chooseConfig, DEFAULT_FILE, type ChosenConfig } from './choose-config.ts';
import { textOf, type Arguments, type Terminal } from './command.ts';

/** Context of an action that works on both the configuration and the store. */
export interface StoreContext {
  chosen: ChosenConfig;
  /** The URL of the records store, without its password. */
  place: string;
  given: Arguments;
  terminal: Terminal;
}

export function storeContext(given: Arguments, terminal: Terminal): StoreContext {
  const chosen = chooseConfig(textOf(given, 'config'), terminal.environment, { mayLackFiles: true });
  const { grants, records = grants } = chosen.config.stores;
  return { chosen, place: printableStoreUrl(records), given, terminal };
}

/**
 * Opens the stores and the domain on them for one task. A command opens only stores that a server has made. @throws
 * StoreUnavailable, ForeignStore, or Error if there is no store
 */
export async function withDomain<T>(
  { chosen, terminal }: Pick<StoreContext, 'chosen' | 'terminal'>,
  work: (domain: Domain) => Promise<T>,
): Promise<T> {
  // Imports the stores here, so that commands without a store start faster.
  const [{ openExistingStores }, { openDomain }, { storedKeys }] = await Promise.all([
    import('../storage/open-stores.ts'),
    import('../domain/domain.ts'),
    import('../domain/key-ring.ts'),
  ]);
  const { config } = chosen;
  const random = systemRandom;
  const stores = await openExistingStores(config.stores, terminal.clock).catch((error: unknown) => {
    throw error instanceof StoreMissing ? noStore(chosen, error.place) : error;
  });
  try {
    for (const warning of stores.warnings) terminal.warn(`latchkey: ${warning}`);
    await checkOrigin(chosen, stores, terminal);
    return await work(openDomain({ config, stores, random, keys: () => storedKeys({ config, stores, random }) }));
  } finally {
    await stores.close();
  }
}

function noStore({ file, config }: ChosenConfig, place: string): Error {
  const { grants, records = grants } = config.stores;
  const setting = place === printableStoreUrl(records) && records !== grants ? 'stores.records' : 'stores.grants';
  return new Error(
    file === undefined
      ? `there is no ${DEFAULT_FILE} in this folder, and the demo has no store yet (${place}): name your configuration with ` +
          '--config FILE, or start the demo once to create its store: latchkey start'
      : `there is no store at ${place} (${setting} in ${file}): start the server once to create it: ` +
          `latchkey start --config ${file}; or restore a backup into it: latchkey store restore`,
  );
}

/**
 * Refuses the demo's store for a configured server, and the store of a configured server in demo mode. @throws
 * ForeignStore
 */
async function checkOrigin(
  chosen: ChosenConfig,
  { records, clock, format }: Stores,
  terminal: Terminal,
): Promise<void> {
  const { config } = chosen;
  const { grants: grantsUrl, records: url = grantsUrl } = config.stores;
  const origin = await originOf({ config, records, clock, format, random: systemRandom });
  if (origin === undefined) throw noStore(chosen, printableStoreUrl(url));
  const isDemo = config.isDemo === true;
  const place = printableStoreUrl(url);
  if ((origin.maker === 'demo') === isDemo) {
    if (isDemo)
      terminal.warn(
        `latchkey: this is the store of the demo (${place}); name your own configuration with --config FILE`,
      );
    return;
  }
  const foreign = foreignStore(origin, place);
  // A store without a mark may hold the demo's accounts, and only commands can remove them. They open such a store,
  // with a warning.
  if (isDemo || origin.isMarked) throw foreign;
  terminal.warn(`latchkey: ${foreign.message}`);
}

/** Reports the removal of an item from the store. @returns the exit code */
export function reportRemoval(
  { chosen, place, terminal }: StoreContext,
  {
    name,
    wasStored,
    isConfigured,
    revokeCommand,
  }: { name: string; wasStored: boolean; isConfigured: boolean; revokeCommand: string },
): number {
  const source = chosen.file ?? 'the demo';
  if (wasStored) {
    terminal.print(`removed ${name} from ${place}${isConfigured ? `; ${source} still defines it` : ''}`);
    return 0;
  }
  const reason = isConfigured
    ? `${name} is defined in the configuration: remove it from ${source}, restart the server, and run "${revokeCommand}"`
    : `there is no ${name} in ${place}`;
  terminal.warn(`latchkey: ${reason}`);
  return 1;
}

/** Returns a line to print: the number of sessions and apps whose access to the account ends. */
export async function endingEffects({ grants, consents }: Domain, { id }: Pick<Account, 'id'>): Promise<string> {
  const sessions = await liveSessions(grants, id);
  const apps = await appsWithAccess({ grants, consents }, id);
  const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;
  return `${count(sessions.length, 'session')} and the access of ${count(apps.length, 'app')} end`;
}

/** Returns the time within which APIs refuse the tokens, as a line to print. */
export function revocationDelayText({ status_lists: { ttl } }: Pick<Config, 'status_lists'>): string {
  return `APIs that follow the status events refuse the access tokens within 1s, all other APIs within ${durationText(ttl)}`;
}
