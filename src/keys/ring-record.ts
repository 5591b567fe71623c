import { type Key, keyspace, type Store } from '../storage/store.ts';
import type { RingContent } from './ring.ts';
import type { MasterKey } from './master-key.ts';

/**
 * The stored ring: one compact JWE of the whole `RingContent`. The public keys are sealed too, so that an attacker
 * who can write to the store cannot have a key published. As there is only one record, one compare-and-swap changes the
 * master key.
 */
interface RingRecord {
  sealed: string;
}

/** Channel for notices that the ring has changed. */
export const RING_CHANNEL = 'key-ring';

const ringKey: Key<RingRecord> = keyspace<RingRecord>('key-ring')('main');
const PURPOSE = 'key-ring:main';

/** Tells whether a ring is stored, regardless of the master key that seals it. */
export async function holdsRing(store: Pick<Store, 'get'>): Promise<boolean> {
  return (await store.get(ringKey)) !== undefined;
}

/** The store's methods that the ring needs. */
export type RingStore = Pick<Store, 'get' | 'create' | 'replace' | 'publish' | 'subscribe'>;

export interface StoredRing {
  content: RingContent;
  /** Distinguishes two states of the record, even if a failover has set the version back. */
  sealed: string;
  version: number;
}

/** Reads and writes the one record of the ring. */
export interface RingRecords {
  /** Reads the ring. If the sealed text is still that of `known`, it is not decrypted again. */
  read(known?: StoredRing): Promise<StoredRing | undefined>;
  /** @param over the version to replace; `undefined` if no ring may exist yet @returns whether this call wrote */
  write(content: RingContent, over: number | undefined): Promise<boolean>;
}

export function ringRecords(store: RingStore, masterKey: MasterKey): RingRecords {
  return {
    async read(known) {
      const stored = await store.get(ringKey);
      if (stored === undefined) return undefined;
      const { sealed } = stored.value;
      const { version } = stored;
      if (sealed === known?.sealed) return version === known.version ? known : { ...known, version };
      const text = await masterKey.open(sealed, PURPOSE);
      // Only a holder of the master key can have written it, so its shape is trusted.
      return { content: JSON.parse(text.toString()) as RingContent, sealed, version };
    },
    async write(content, over) {
      const record = { sealed: await masterKey.seal(JSON.stringify(content), PURPOSE) };
      const won = await (over === undefined ? store.create(ringKey, record) : store.replace(ringKey, record, over));
      // If the notice is lost, the write still stands: the other nodes find it at their next poll.
      if (won) await store.publish(RING_CHANNEL, '').catch(() => undefined);
      return won;
    },
  };
}
