import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Stores } from '../storage/open-stores.ts';

/** What every part is made of. */
export interface Base {
  config: Config;
  stores: Stores;
  log: Logger;
  clock: Clock;
  random: Random;
}
