import type { RevocationTarget } from '../events/revocations.ts';
import type { Stores } from '../storage/open-stores.ts';
import type { StoreScene } from './store-scene.ts';

/** What would be taken back, and what that means to people. */
export interface Plan {
  target: RevocationTarget;
  /** Follows on "taking back". */
  what: string;
  lines: readonly string[];
}

export interface Asked {
  scene: StoreScene;
  stores: Stores;
  /** In milliseconds since the epoch. */
  before: number | undefined;
}
