import type { Config } from '../config/schema.ts';
import type { MasterKey } from '../keys/master-key.ts';
import { openMasterKey } from '../keys/master-key.ts';
import { ringRecords, type RingRecords } from '../keys/ring-record.ts';
import { snapshotOf, type RingContent, type RingSnapshot } from '../keys/ring.ts';
import { storedRing, type StepOptions } from '../keys/steps.ts';
import { timetableOf } from '../keys/timetable.ts';
import { systemClock } from '../lib/clock.ts';
import { systemRandom } from '../lib/random.ts';
import type { Store } from '../storage/store.ts';
import type { Arguments, Terminal } from './command.ts';

/** What an action of `keys` is given. */
export interface KeysScene {
  config: Config;
  options: Arguments['options'];
  terminal: Terminal;
}

export interface OpenRing {
  records: RingRecords;
  content: RingContent;
  /** What the ring in the store says now. */
  snapshot: RingSnapshot;
  /** What this configuration's nodes do with it. */
  steps: StepOptions;
}

/** Opens the ring for one piece of work. @throws MasterKeyError, StoreUnavailable, or Error where there is none yet */
export function withRing<T>(scene: KeysScene, work: (ring: OpenRing) => Promise<T>): Promise<T> {
  return withKeyStore(scene, async (store, masterKey) => {
    const records = ringRecords(store, masterKey);
    const { content } = await storedRing(records);
    return work({ records, content, snapshot: snapshotNow(scene, content), steps: stepsOf(scene) });
  });
}

/** The store of the ring, and the master key that should open it. */
export async function withKeyStore<T>(
  { config, terminal }: KeysScene,
  work: (store: Store, masterKey: MasterKey) => Promise<T>,
): Promise<T> {
  const masterKey = await openMasterKey(config.keys_dir, { create: false, random: systemRandom });
  // Loaded here, so that the commands that open no store do not wait for it.
  const { openStores } = await import('../storage/open-stores.ts');
  const stores = await openStores(config.stores, systemClock);
  try {
    for (const warning of stores.warnings) terminal.warn(`latchkey: ${warning}`);
    return await work(stores.records, masterKey);
  } finally {
    await stores.close();
  }
}

export function snapshotNow({ config }: KeysScene, content: RingContent): RingSnapshot {
  return snapshotOf(content, systemClock.now(), config.keys.algorithms);
}

function stepsOf({ config }: KeysScene): StepOptions {
  return {
    clock: systemClock,
    random: systemRandom,
    algorithms: config.keys.algorithms,
    timetable: timetableOf(config),
  };
}

/** A moment as a person and a program read it: `2026-01-31T12:00:00Z`. */
export function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function printJson(terminal: Terminal, value: unknown): void {
  terminal.print(JSON.stringify(value, undefined, 2));
}
