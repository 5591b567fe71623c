/** A process that writes to a store without end and reports each write once the store has acknowledged it. */
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';

const store = await openStore(process.argv[2] ?? '', systemClock);
// eslint-disable-next-line no-restricted-syntax -- its test kills it
for (let at = 0; ; at += 1) {
  await store.create(`record:${at}`, { at, filler: 'x'.repeat(at % 3000) }, { indexes: ['all'] });
  await store.consume(`record:${at}`);
  await store.increment('counter', 1, 600);
  await new Promise((resolve) => process.send?.(at, resolve));
}
