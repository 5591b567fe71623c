import assert from 'node:assert/strict';
import type { Account } from '../../src/accounts/account.ts';
import { openPasswordCheck, openSignIn } from '../../src/credentials/password-check.ts';
import {
  openChangePassword,
  type PasswordChange,
  type PasswordChangeResult,
} from '../../src/credentials/change-password.ts';
import { OPERATOR } from '../../src/limits/lane.ts';
import { register } from '../../src/credentials/sign-up.ts';
import { type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';
import { countHashes } from './count-hashes.ts';
import { openCredentialServices, type CredentialServices } from './credential-services.ts';

const PRESENT = 'correct horse battery';
const NEXT = 'plum cassette harbour';
const address = '192.0.2.1';

describe('Password changes', () => {
  let place: TemporaryStore;
  let parts: CredentialServices;
  let ann: Account;

  beforeEach(async () => {
    place = temporaryStore();
    parts = openCredentialServices(place.store, place.clock);
    const made = await register(
      parts,
      { email: 'ann@example.com', password: PRESENT, name: 'Ann', roles: [], origin: 'operator' as const },
      OPERATOR,
    );
    assert.ok(made !== 'email-taken');
    ann = made;
  });
  afterEach(() => place.remove());

  const change = (changes: Partial<PasswordChange> = {}): Promise<PasswordChangeResult> =>
    openChangePassword({ ...parts, check: openPasswordCheck(parts) })({
      ...{ account: ann, current: PRESENT, next: NEXT, isAgreed: true, address, replace: (store) => store() },
      ...changes,
    });

  it('A password change requires the current password, and then only the new one is right', async () => {
    place.clock.advance(60);
    assert.equal((await change()).outcome, 'changed');
    assert.equal(await parts.passwords.verify(ann.id, PRESENT, OPERATOR), 'wrong');
    assert.equal(await parts.passwords.verify(ann.id, NEXT, OPERATOR), 'right');
    assert.equal(await parts.passwords.changedAt(ann.id), place.clock.now());
  });

  it('A password change does not overwrite a password that an operator has set meanwhile', async () => {
    const set = 'an operator chose this one';
    const result = await change({
      async replace(store) {
        await parts.passwords.set(ann.id, set, OPERATOR);
        await store();
      },
    });
    assert.deepEqual(result, { outcome: 'problems', problems: { current: 'wrong' } });
    assert.equal(await parts.passwords.verify(ann.id, set, OPERATOR), 'right');
    assert.equal(await parts.passwords.verify(ann.id, NEXT, OPERATOR), 'wrong');
  });

  it('A password change with a wrong current password is refused', async () => {
    const result = await change({ current: 'a wrong password' });
    assert.deepEqual(result, { outcome: 'problems', problems: { current: 'wrong' } });
    assert.equal(await parts.passwords.verify(ann.id, PRESENT, OPERATOR), 'right');
  });

  it('Wrong current passwords count as sign-in attempts and delay both', async () => {
    for (let turn = 0; turn < 6; turn += 1) await change({ current: `wrong password ${turn}` });
    assert.equal((await change()).outcome, 'wait');
    const atTheDoor = await openSignIn(parts)({ email: ann.email, password: PRESENT, address });
    assert.equal(atTheDoor.outcome, 'wait');
    assert.equal(await parts.passwords.verify(ann.id, PRESENT, OPERATOR), 'right');
  });

  it('A failed password change names the faults of both passwords at once, and the attempt counts', async () => {
    const { hashes } = await countHashes(async () => {
      const result = await change({ current: 'a wrong password', next: 'qwertyuiopasdfgh' });
      assert.deepEqual(result, { outcome: 'problems', problems: { current: 'wrong', next: 'near-common' } });
    });
    assert.equal(hashes, 1);
    for (let turn = 0; turn < 5; turn += 1) await change({ current: 'a wrong password', next: 'short' });
    assert.equal((await change()).outcome, 'wait');
  });

  it('The owner’s unsuitable new passwords do not count as attempts', async () => {
    for (let turn = 0; turn < 8; turn += 1)
      assert.deepEqual(await change({ next: 'short' }), { outcome: 'problems', problems: { next: 'too-short' } });
    assert.deepEqual(await change({ isAgreed: false }), { outcome: 'problems', problems: {} });
    assert.equal(await parts.passwords.verify(ann.id, PRESENT, OPERATOR), 'right');
    assert.equal((await change()).outcome, 'changed');
  });

  it('A new password that equals the current one in another Unicode form is refused', async () => {
    const present = 'correct horse Battery ﬁnal';
    await parts.passwords.set(ann.id, present, OPERATOR);
    const result = await change({ current: present, next: present.normalize('NFKC') });
    assert.deepEqual(result, { outcome: 'problems', problems: { next: 'same' } });
  });

  it('A password change is refused if the account has been disabled meanwhile', async () => {
    await parts.accounts.disable(ann.id);
    assert.deepEqual(await change(), { outcome: 'problems', problems: { current: 'wrong' } });
  });
});
