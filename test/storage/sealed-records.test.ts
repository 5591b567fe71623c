import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { openRecord, sealedKeyspace, sealRecord, type Sealed } from '../../src/storage/store.ts';

interface Cookie {
  uid: string;
  account?: string;
}

const SECRET = 'the secret of a browser';
const cookieKey = sealedKeyspace<Sealed<Cookie> & { seen?: number }>('cookie');

describe('Sealed records', () => {
  it('A sealed record has the same key and form as in earlier versions', () => {
    assert.equal(cookieKey(SECRET), 'cookie:SzE6_8RzJmojoDdultMV_7iD_pxtBEZBrvXEjoSrXYk');
    const sealed = 'VuNhrnYKKYSLZzM-I6pKJxps7aQEsVP26eycISFkoY1YT1bLaOoF6PLH0Epm8r7Zl0Z9Benqgpn2mXA';
    assert.deepEqual(openRecord<Cookie>(SECRET, { sealed }), { uid: 'abc', account: 'acc_1' });
  });

  it('Only its secret opens a sealed record, and the store shows only the readable members', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-sealed-'));
    try {
      const store = await openStore(`sqlite:${join(folder, 'store.db')}`, systemClock);
      const cookie: Cookie = { uid: 'the uid of the session' };
      try {
        await store.set(cookieKey(SECRET), { ...sealRecord(SECRET, cookie, systemRandom), seen: 12_345_678 });
        const stored = await store.get(cookieKey(SECRET));
        assert.ok(stored !== undefined);
        assert.deepEqual(openRecord(SECRET, stored.value), cookie);
        assert.throws(() => openRecord('another secret', stored.value), /authenticate/);
        assert.equal(await store.get(cookieKey('another secret')), undefined);
      } finally {
        await store.close();
      }
      const bytes = await readFile(join(folder, 'store.db'), 'latin1');
      assert.match(bytes, /12345678/);
      for (const text of [SECRET, cookie.uid]) assert.ok(!bytes.includes(text), text);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
