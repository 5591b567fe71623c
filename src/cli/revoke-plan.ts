import type { RevocationTarget } from '../events/revocations.ts';
import type { Stores } from '../storage/open-stores.ts';
import type { StoreScene } from './store-scene.ts';

/** A revocation before it is made, with its consequences for people. */
export interface Plan {
  target: RevocationTarget;
  /** Continues the text "revoking …". */
  what: string;
  lines: readonly string[];
}

export interface Asked {
  scene: StoreScene;
  stores: Stores;
  /** In milliseconds since the epoch. */
  before: number | undefined;
}
