/** A process of its own that opens the ring and tells what it got. Arguments: the store's URL, the directory of the master key. */
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openKeyRing } from '../../src/keys/key-ring.ts';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { openStore } from '../../src/storage/open-store.ts';

const [url = '', directory = ''] = process.argv.slice(2);
const masterKey = await openMasterKey(directory, { create: true, random: systemRandom });
const records = await openStore(url, systemClock);
const ring = await openKeyRing({
  records,
  masterKey,
  clock: systemClock,
  random: systemRandom,
  algorithms: ['ES256', 'RS256'],
  timetable: { sign: 3600, announce: 600, publish: 3600, remember: 3600, cookies: 3600, skew: 60, cache: 60 },
});
const snapshot = ring.current();
const keys = snapshot.keys.map((key) => [key.alg, key.kid]);
console.log(JSON.stringify({ keys, derived: snapshot.derive('test').toString('hex') }));
await ring.close();
await records.close();
