import assert from 'node:assert/strict';
import type { Account } from '../../src/accounts/accounts.ts';
import {
  openChangePassword,
  type PasswordChange,
  type PasswordChangeResult,
} from '../../src/credentials/change-password.ts';
import { register } from '../../src/credentials/register.ts';
import { openSignIn } from '../../src/credentials/sign-in.ts';
import { type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';
import { countHashes } from './count-hashes.ts';
import { openParts, type Parts } from './open-parts.ts';

const PRESENT = 'correct horse battery';
const NEXT = 'plum cassette harbour';
const address = '192.0.2.1';

describe('Changing a password', () => {
  let place: TemporaryStore;
  let parts: Parts;
  let ann: Account;

  beforeEach(async () => {
    place = temporaryStore();
    parts = openParts(place.store, place.clock);
    const made = await register(parts, { email: 'ann@example.com', password: PRESENT, name: 'Ann', roles: [] });
    assert.ok(made !== 'email-taken');
    ann = made;
  });
  afterEach(() => place.remove());

  const change = (changes: Partial<PasswordChange> = {}): Promise<PasswordChangeResult> =>
    openChangePassword({ signIn: openSignIn(parts), passwords: parts.passwords })({
      ...{ account: ann, current: PRESENT, next: NEXT, address },
      ...changes,
    });

  it('takes the present one, and from then on the new one alone is good', async () => {
    place.clock.advance(60);
    assert.equal((await change()).outcome, 'changed');
    assert.equal(await parts.passwords.verify(ann.id, PRESENT), 'wrong');
    assert.equal(await parts.passwords.verify(ann.id, NEXT), 'right');
    assert.equal(await parts.passwords.changedAt(ann.id), place.clock.now());
  });

  it('is refused to who does not know the present one', async () => {
    assert.deepEqual(await change({ current: 'a wrong password' }), { outcome: 'refused' });
    assert.equal(await parts.passwords.verify(ann.id, PRESENT), 'right');
  });

  it('is no place to guess: its attempts count as those of a sign-in, and make both wait', async () => {
    for (let turn = 0; turn < 6; turn += 1) await change({ current: `wrong password ${turn}` });
    assert.equal((await change()).outcome, 'wait');
    const atTheDoor = await openSignIn(parts)({ email: ann.email, password: PRESENT, address });
    assert.equal(atTheDoor.outcome, 'wait');
    assert.equal(await parts.passwords.verify(ann.id, PRESENT), 'right');
  });

  it('says what is wrong with the new one before it hashes or counts anything', async () => {
    const { hashes } = await countHashes(async () => {
      for (let turn = 0; turn < 20; turn += 1)
        assert.deepEqual(await change({ next: 'short' }), { outcome: 'problem', problem: 'too-short' });
      assert.deepEqual(await change({ next: 'passwordpassword' }), { outcome: 'problem', problem: 'common' });
    });
    assert.equal(hashes, 0);
    assert.equal((await change()).outcome, 'changed');
  });

  it('is none when the new one is the present one in another form', async () => {
    const present = 'correct horse Battery ﬁnal';
    await parts.passwords.set(ann.id, present);
    const result = await change({ current: present, next: present.normalize('NFKC') });
    assert.deepEqual(result, { outcome: 'problem', problem: 'same' });
  });

  it('is refused to an account that has been disabled meanwhile', async () => {
    await parts.accounts.disable(ann.id);
    assert.deepEqual(await change(), { outcome: 'refused' });
  });
});
