import assert from 'node:assert/strict';
import { openUserCodes } from '../../src/oidc/storage/user-codes.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { Store } from '../../src/storage/store.ts';
import { temporaryStore, type TemporaryStore } from '../support/temporary-store.ts';

describe('User codes', () => {
  const key = Buffer.alloc(32, 1);
  const CODE = 'WDJBMJHT';
  let temporary: TemporaryStore;
  let grants: Store;
  beforeEach(() => {
    temporary = temporaryStore();
    grants = temporary.store;
  });
  afterEach(() => temporary.remove());

  it('A user code leads to its device, and no other device can take it', async () => {
    const codes = openUserCodes({ grants, random: systemRandom, key });
    assert.equal(await codes.remember(CODE, 'the-first-device', { ttl: 60 }), true);
    assert.equal(await codes.remember(CODE, 'the-first-device', { ttl: 60 }), true);
    assert.equal(await codes.remember(CODE, 'another-device', { ttl: 60 }), false);
    assert.equal(await codes.deviceCodeOf(CODE), 'the-first-device');
    assert.equal(await codes.deviceCodeOf('WDJBMJHK'), undefined);
  });

  it('A stolen store reveals no user code without the key', async () => {
    await openUserCodes({ grants, random: systemRandom, key }).remember(CODE, 'the-device', { ttl: 60 });
    const thief = openUserCodes({ grants, random: systemRandom, key: Buffer.alloc(32, 2) });
    assert.equal(await thief.deviceCodeOf(CODE), undefined);
  });
});
