import { validate } from '../../src/config/validate.ts';
import { claimStore, type Maker } from '../../src/credentials/store-origin.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openStores } from '../../src/storage/open-stores.ts';

/** Makes a store as the first start of a server does, for the commands that work beside it. */
export async function makeStore(url: string, maker: Maker = 'configured'): Promise<void> {
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
  } finally {
    await stores.close();
  }
}
