import assert from 'node:assert/strict';
import fc from 'fast-check';
import { OPERATOR } from '../../src/limits/lane.ts';
import { register, openSignUp, type SignUpInput, type SignUpResult } from '../../src/credentials/sign-up.ts';
import { openSignIn } from '../../src/credentials/password-check.ts';
import { dyingStore, type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';
import { countHashes } from './count-hashes.ts';
import { openCredentialServices, type CredentialServices } from './credential-services.ts';

const ann = { email: 'ann@example.com', name: 'Ann', password: 'correct horse battery', address: '192.0.2.1' };

describe('Sign-up', () => {
  let place: TemporaryStore;
  let parts: CredentialServices;

  beforeEach(() => {
    place = temporaryStore();
    parts = openCredentialServices(place.store, place.clock);
  });
  afterEach(() => place.remove());

  const signUp = (input: SignUpInput): Promise<SignUpResult> =>
    openSignUp({ ...parts, grants: place.store, clock: place.clock, roles: ['user'] })(input);
  const signIn = (input: SignUpInput) => openSignIn(parts)(input);

  it('A sign-up creates an account with the default roles, and its owner can sign in', async () => {
    const result = await signUp({ ...ann, email: 'ANN@example.com ' });
    assert.equal(result.outcome, 'signed-up');
    assert.deepEqual([result.account.roles, result.account.origin], [['user'], 'sign-up']);
    assert.equal(result.account.emailVerified, undefined);
    assert.equal((await signIn(ann)).outcome, 'signed-in');
    const version = (await parts.passwords.versionOf(result.account.id)) ?? '';
    assert.ok(parts.devices.verify(result.deviceToken, { account: result.account.id, version }) !== undefined);
  });

  it('A failed sign-up names the faults of all fields at once', async () => {
    const result = await signUp({ ...ann, email: 'ann', name: ' ', password: 'short' });
    const problems = { email: 'not-an-address', name: 'empty', password: 'too-short' };
    assert.deepEqual(result, { outcome: 'problems', problems });
  });

  it('The server checks about 200 sign-up forms a minute from one address, including faulty ones', async () => {
    let checked = 0;
    for (let turn = 0; turn < 210; turn += 1)
      if ((await signUp({ ...ann, password: 'short' })).outcome === 'problems') checked += 1;
    assert.ok(checked >= 200 && checked <= 202, String(checked));
    assert.equal((await signUp({ ...ann, password: 'short', address: '203.0.113.9' })).outcome, 'problems');
  });

  it('A password that equals the address or the name is refused', async () => {
    for (const password of [ann.email, 'Maximiliane Ann']) {
      const result = await signUp({ ...ann, name: 'Maximiliane Ann', password });
      assert.equal(result.outcome, 'problems');
      assert.deepEqual(Object.keys(result.problems), ['password']);
    }
  });

  it('A taken address is reported only if nothing else is wrong, and its account does not change', async () => {
    await signUp(ann);
    const other = { ...ann, password: 'a different password' };
    assert.deepEqual(await signUp(other), { outcome: 'problems', problems: { email: 'email-taken' } });
    const bad = await signUp({ ...ann, password: 'short' });
    assert.deepEqual(bad, { outcome: 'problems', problems: { password: 'too-short' } });
    assert.equal((await signIn(other)).outcome, 'refused');
    assert.equal((await signIn(ann)).outcome, 'signed-in');
  });

  it('A sign-up takes one hash, whether the address is free or taken', async () => {
    for (const outcome of ['signed-up', 'problems']) {
      const { hashes } = await countHashes(async () => assert.equal((await signUp(ann)).outcome, outcome));
      assert.equal(hashes, 1);
    }
  });

  it('Twenty simultaneous sign-ups create one account with the password of the successful one', async () => {
    const inputs = Array.from({ length: 20 }, (_, turn) => ({ ...ann, password: `the password of try ${turn}` }));
    const results = await Promise.all(inputs.map(signUp));
    const winners = inputs.filter((_, turn) => results[turn]?.outcome === 'signed-up');
    assert.equal(winners.length, 1);
    for (const input of inputs) {
      const { outcome } = await signIn({ ...input, address: `10.0.0.${inputs.indexOf(input)}` });
      assert.equal(outcome, input === winners[0] ? 'signed-in' : 'refused');
    }
    assert.equal((await parts.accounts.list()).accounts.length, 1);
  });

  it('A crash during sign-up leaves either a usable account or a free address', async () => {
    const outcomes = [];
    for (const writes of [0, 1, 2, 3]) {
      const person = { ...ann, email: `crash-${writes}@example.com`, roles: [], origin: 'operator' as const };
      await register(openCredentialServices(dyingStore(place.store, writes), place.clock), person, OPERATOR).catch(
        () => undefined,
      );
      const { outcome } = await signIn(person);
      outcomes.push(outcome);
      const again = await register(parts, person, OPERATOR);
      assert.equal(again === 'email-taken', outcome === 'signed-in');
    }
    assert.deepEqual(outcomes, ['refused', 'refused', 'refused', 'signed-in']);
  });

  it('An address gets twenty free sign-ups, including those for taken addresses, and then waits', async () => {
    for (let turn = 0; turn < 20; turn += 1) {
      const { outcome } = await signUp({ ...ann, email: `person-${turn >> 1}@example.com` });
      assert.equal(outcome, turn % 2 === 0 ? 'signed-up' : 'problems');
    }
    assert.deepEqual(await signUp(ann), { outcome: 'wait', seconds: 1 });
    assert.equal((await signUp({ ...ann, address: '192.0.2.2' })).outcome, 'signed-up');
  });

  it('All networks of an IPv6 site share one limit for sign-ups', async () => {
    const outcomes = [];
    for (let turn = 0; turn < 110; turn += 1) {
      const address = `2001:db8:1:${turn.toString(16)}::1`;
      outcomes.push((await signUp({ ...ann, email: `person-${turn}@example.com`, address })).outcome);
    }
    assert.equal(outcomes.filter((outcome) => outcome === 'signed-up').length, 100);
    assert.equal((await signUp({ ...ann, address: '2001:db8:2::1' })).outcome, 'signed-up');
  });

  it('Arbitrary sign-up input gets a result and not an error', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(fc.oneof(text, fc.emailAddress()), text, text, text, async (email, name, password, address) => {
        const { outcome } = await signUp({ email, name, password, address });
        assert.ok(['signed-up', 'problems', 'wait'].includes(outcome));
      }),
      { numRuns: 50 },
    );
  });
});
