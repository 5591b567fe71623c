import type { Config } from '../../src/config/schema.ts';
import { openDomain, type Domain } from '../../src/domain/domain.ts';
import { storedKeys } from '../../src/domain/key-ring.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { Stores } from '../../src/storage/open-stores.ts';

/** The domain on open stores, as a command has it beside the servers that use them. */
export function domainOn(stores: Stores, config: Config): Domain {
  const random = systemRandom;
  return openDomain({ config, stores, random, keys: () => storedKeys({ config, stores, random }) });
}
