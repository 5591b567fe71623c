import { validate } from '../../src/config/validate.ts';
import { claimStore, type Maker } from '../../src/credentials/store-origin.ts';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { ringRecords } from '../../src/keys/ring-record.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { secretToken, systemRandom } from '../../src/lib/random.ts';
import { openStores } from '../../src/storage/open-stores.ts';

/**
 * Makes a store as the first start of a server does, for the commands that work beside it.
 * @param keys the directory of the master key, for a store with a key ring
 */
export async function makeStore(url: string, maker: Maker = 'configured', keys?: string): Promise<void> {
  const stores = await openStores({ grants: url });
  try {
    const validated = validate({ issuer: 'https://login.example.com' });
    if ('faults' in validated) throw new Error('the smallest configuration is faulty');
    await claimStore(
      {
        config: validated.value,
        records: stores.records,
        format: stores.format,
        clock: systemClock,
        random: systemRandom,
      },
      maker,
    );
    if (keys === undefined) return;
    const masterKey = await openMasterKey(keys, { create: true, random: systemRandom });
    const ring = { keys: [], cookieKeys: [], root: secretToken(systemRandom) };
    await ringRecords(stores.records, masterKey).write(ring, undefined);
  } finally {
    await stores.close();
  }
}
