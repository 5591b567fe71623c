import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hmacSha256, sha256 } from '../../src/lib/hash.ts';
import type { Account } from '../../src/accounts/account.ts';
import { TooBusy } from '../../src/limits/semaphore.ts';
import { OPERATOR } from '../../src/limits/lane.ts';
import { register } from '../../src/credentials/sign-up.ts';
import { openSignIn, type SignInResult } from '../../src/credentials/password-check.ts';
import { type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';
import { countHashes } from './count-hashes.ts';
import { openCredentialServices, type CredentialServices } from './credential-services.ts';

const right = { email: 'ann@example.com', password: 'correct horse battery', address: '192.0.2.1' };
const wrong = { ...right, password: 'a wrong password' };

type Input = typeof right & { deviceToken?: string };

describe('Sign-in', () => {
  let place: TemporaryStore;
  let parts: CredentialServices;
  let ann: Account;

  beforeEach(async () => {
    place = temporaryStore();
    parts = openCredentialServices(place.store, place.clock);
    const made = await register(
      parts,
      { email: right.email, password: right.password, name: 'Ann', roles: ['user'], origin: 'operator' as const },
      OPERATOR,
    );
    assert.ok(made !== 'email-taken');
    ann = made;
  });
  afterEach(() => place.remove());

  const signIn = (input: Input): Promise<SignInResult> => openSignIn(parts)(input);

  async function tokenOf(input: Input): Promise<string> {
    const result = await signIn(input);
    assert.equal(result.outcome, 'signed-in');
    return result.deviceToken;
  }

  it('A sign-in succeeds with the right password and any spelling of the address', async () => {
    const result = await signIn({ ...right, email: ' ANN@Example.com' });
    assert.equal(result.outcome, 'signed-in');
    assert.deepEqual(result.account, ann);
    const version = (await parts.passwords.versionOf(ann.id)) ?? '';
    assert.ok(parts.devices.verify(result.deviceToken, { account: ann.id, version }) !== undefined);
  });

  it('A wrong password, an unknown account and a disabled account get one answer for one hash', async () => {
    const disabled = await register(
      parts,
      { ...right, email: 'off@example.com', name: 'Off', roles: [], origin: 'operator' as const },
      OPERATOR,
    );
    assert.ok(disabled !== 'email-taken');
    await parts.accounts.disable(disabled.id);
    for (const input of [wrong, { ...right, email: 'bob@example.com' }, { ...right, email: 'off@example.com' }]) {
      const { hashes } = await countHashes(async () => assert.deepEqual(await signIn(input), { outcome: 'refused' }));
      assert.equal(hashes, 1);
    }
  });

  it('A guesser waits equally long for a known and an unknown address', async () => {
    const pauses = [];
    for (const email of [right.email, 'bob@example.com']) {
      for (let turn = 0; turn < 5; turn += 1) await signIn({ ...wrong, email });
      pauses.push(await signIn({ ...wrong, email }));
    }
    assert.deepEqual(pauses, Array(2).fill({ outcome: 'wait', seconds: 1 }));
  });

  it('The server checks no password during a pause, not even the right one', async () => {
    for (let turn = 0; turn < 5; turn += 1) await signIn(wrong);
    const { hashes } = await countHashes(async () => assert.equal((await signIn(right)).outcome, 'wait'));
    assert.equal(hashes, 0);
    place.clock.advance(1);
    assert.equal((await signIn(right)).outcome, 'signed-in');
  });

  it('The server checks only five of fifty simultaneous guesses', async () => {
    const { hashes } = await countHashes(() =>
      Promise.all(Array.from({ length: 50 }, (_, turn) => signIn({ ...wrong, password: `guess number ${turn}` }))),
    );
    assert.equal(hashes, 5);
  });

  it('The owner can sign in on a known device while strangers guess from everywhere', async () => {
    const deviceToken = await tokenOf(right);
    for (let turn = 0; turn < 80; turn += 1) await signIn({ ...wrong, address: `10.0.0.${turn}` });
    assert.equal((await signIn(right)).outcome, 'wait');
    assert.equal((await signIn({ ...right, deviceToken })).outcome, 'signed-in');
  });

  it('A foreign or made-up device token gives a stranger no attempts', async () => {
    await register(
      parts,
      { ...right, email: 'bob@example.com', name: 'Bob', roles: [], origin: 'operator' as const },
      OPERATOR,
    );
    const foreign = await tokenOf({ ...right, email: 'bob@example.com' });
    for (let turn = 0; turn < 5; turn += 1) await signIn(wrong);
    for (const deviceToken of [foreign, 'made.9999999999.up', '']) {
      assert.equal((await signIn({ ...wrong, deviceToken })).outcome, 'wait');
    }
  });

  it('A device keeps one count through all its sign-ins', async () => {
    const first = await tokenOf(right);
    const second = await tokenOf({ ...right, deviceToken: first });
    for (let turn = 0; turn < 5; turn += 1) await signIn({ ...wrong, deviceToken: first });
    assert.equal((await signIn({ ...wrong, deviceToken: second })).outcome, 'wait');
  });

  it('A sign-in attempt that the server was too busy to check does not count for the account', async () => {
    const crowd = Array.from({ length: 80 }, (_, turn) =>
      signIn({ ...wrong, email: `person-${turn}@example.com`, address: `10.0.0.${turn}` }),
    );
    for (let turn = 0; turn < 10; turn += 1) {
      await assert.rejects(signIn(right), TooBusy);
    }
    await Promise.allSettled(crowd);
    assert.equal((await signIn(right)).outcome, 'signed-in');
  });

  it('A sign-in attempt that the server was too busy to check does not count for the known device', async () => {
    const tokens = [];
    for (let turn = 0; turn < 12; turn += 1) tokens.push(await tokenOf(right));
    const tries = await Promise.allSettled(tokens.map((deviceToken) => signIn({ ...wrong, deviceToken })));
    const refused = tries.findIndex(({ status }) => status === 'rejected');
    const deviceToken = tokens[refused] ?? assert.fail('the server was not too busy for anybody');
    for (let turn = 0; turn < 5; turn += 1)
      assert.equal((await signIn({ ...wrong, deviceToken })).outcome, 'refused', String(turn));
  });

  it('A password change makes all known devices unknown', async () => {
    const old = await tokenOf(right);
    await parts.passwords.set(ann.id, 'plum cassette harbour', OPERATOR);
    for (let turn = 0; turn < 5; turn += 1) await signIn(wrong);
    assert.equal((await signIn({ ...wrong, deviceToken: old })).outcome, 'wait');
  });

  it('A device cookie in the previous format is invalid', async () => {
    for (let turn = 0; turn < 5; turn += 1) await signIn(wrong);
    const [device, expiresAt] = (await tokenOf({ ...right, address: '192.0.2.9' })).split('.');
    const input = ['known-device', device, expiresAt, sha256(right.email)].join('\n');
    const old = [device, expiresAt, hmacSha256('k'.repeat(32), input)].join('.');
    assert.equal((await signIn({ ...wrong, deviceToken: old })).outcome, 'wait');
  });

  it('Twelve stolen device cookies allow few guesses, and the owner can still sign in', async () => {
    const mine = await tokenOf(right);
    const stolen = [];
    for (let turn = 0; turn < 12; turn += 1) stolen.push(await tokenOf(right));
    const guesses = stolen.flatMap((deviceToken) => Array.from({ length: 5 }, () => ({ ...wrong, deviceToken })));
    const { hashes } = await countHashes(async () => {
      for (const guess of guesses) await signIn(guess);
    });
    // Twenty from all devices, five as from an unknown place.
    assert.equal(hashes, 25);
    assert.equal((await signIn({ ...right, address: '203.0.113.4', deviceToken: mine })).outcome, 'signed-in');
  });

  it('Arbitrary sign-in input is refused without an error', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(text, text, text, text, async (email, password, address, deviceToken) => {
        for (const address_ of [email, right.email]) {
          const result = await signIn({ email: address_, password, address, deviceToken });
          assert.notEqual(result.outcome, 'signed-in');
        }
      }),
      { numRuns: 50 },
    );
  });
});
