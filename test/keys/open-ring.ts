/** A process of its own that opens the ring and tells what it got. Arguments: the store's file, the directory of the master key. */
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openKeyRing } from '../../src/keys/key-ring.ts';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { openSqliteStore } from '../../src/storage/sqlite/sqlite-store.ts';

const [file = '', directory = ''] = process.argv.slice(2);
const masterKey = await openMasterKey(directory, { create: true, random: systemRandom });
const records = openSqliteStore(file, systemClock);
const ring = await openKeyRing({
  records,
  masterKey,
  clock: systemClock,
  random: systemRandom,
  algorithms: ['ES256', 'RS256'],
  timetable: { sign: 3600, announce: 600, publish: 3600 },
});
const snapshot = ring.current();
const keys = snapshot.keys.map((key) => [key.alg, key.kid]);
console.log(JSON.stringify({ keys, derived: snapshot.derive('test').toString('hex') }));
await ring.close();
await records.close();
