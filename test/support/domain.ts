import { openAccounts, type Accounts } from '../../src/accounts/accounts.ts';
import type { Config } from '../../src/config/schema.ts';
import { openDomain, type Domain } from '../../src/domain/domain.ts';
import { storedKeys } from '../../src/domain/key-ring.ts';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { derived } from '../../src/keys/ring.ts';
import { ringRecords } from '../../src/keys/ring-record.ts';
import { storedRing } from '../../src/keys/transitions.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { formatsOf } from '../../src/storage/format.ts';
import type { Stores } from '../../src/storage/open-stores.ts';
import type { Store } from '../../src/storage/store.ts';

/** The domain on open stores, as a command has it beside the servers that use them. */
export function domainOn(stores: Stores, config: Config): Domain {
  const random = systemRandom;
  return openDomain({ config, stores, random, keys: () => storedKeys({ config, stores, random }) });
}

/** The accounts of an open store alone, with the master key in a directory. */
export function accountsOn(records: Store, keysDirectory: string): Accounts {
  const random = systemRandom;
  const keys = async () => {
    const masterKey = await openMasterKey(keysDirectory, { create: false, random });
    const { content } = await storedRing(ringRecords(records, masterKey));
    return { derive: (label: string) => derived(content, label) };
  };
  return openAccounts({ records, clock: systemClock, random, sealing: { formats: () => formatsOf(records), keys } });
}
