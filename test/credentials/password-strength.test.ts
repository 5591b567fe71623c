import assert from 'node:assert/strict';
import { OPERATOR } from '../../src/limits/lane.ts';
import type { PasswordProblem } from '../../src/credentials/password-rules.ts';
import { openSignIn } from '../../src/credentials/password-check.ts';
import { register } from '../../src/credentials/sign-up.ts';
import { type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';
import { openCredentialServices, type CredentialServices } from './credential-services.ts';

const ann = { email: 'ann.smithers@example.com', name: 'Annabella Smithers' };

describe('Strength of new passwords', () => {
  let place: TemporaryStore;
  let parts: CredentialServices;
  beforeEach(() => {
    place = temporaryStore();
    parts = openCredentialServices(place.store, place.clock);
  });
  afterEach(() => place.remove());

  const problem = (password: string) => parts.passwords.problem(password, ann, OPERATOR);

  it('The strength estimate rejects extended common passwords, keyboard rows, repeats, runs, years and personal words', async () => {
    const weak: [password: string, reason: PasswordProblem][] = [
      ['password1234567', 'near-common'],
      ['iloveyou1234567', 'near-common'],
      ['qwertyuiopasdfgh', 'near-common'],
      ['aaaaaaaaaaaaaaa1', 'repeats'],
      ['Passw0rdPassw0rd1', 'repeats'],
      ['letmeinletmein12', 'repeats'],
      ['zaq12wsxcde34rfv', 'near-common'],
      ['abcdefghijklmnopq1', 'sequence'],
      ['administrator1234', 'guessable'],
      ['thisismypassword', 'guessable'],
      ['annasmithers1234567', 'guessable'],
      ['welcome to latchkey', 'guessable'],
    ];
    for (const [password, reason] of weak) {
      assert.equal(await problem(password), reason, password);
    }
  });

  it('The strength estimate accepts a few unrelated words in any language, and random passwords', async () => {
    const strong = [
      'correct horse battery',
      'plum cassette harbour',
      'graue Reiher fischen nachts',
      'xK9$mQ2pVz7#aLw4',
      'ПарольНаКириллицеЗдесь',
      '静かな湖の上を白い鳥が三羽とんでいく',
    ];
    for (const password of strong) assert.equal(await problem(password), undefined, password);
  });

  it('The strength estimate covers only the start of a long password and runs on another thread', async () => {
    const [all, own] = [process.cpuUsage(), process.threadCpuUsage()];
    for (const piece of ['4@8({[<3369&6#!1/|0$5+72%z', '11/11/1111-', 'xK9$mQ2pVz7#'])
      await problem(piece.repeat(30).slice(0, 256));
    const [total, here] = [process.cpuUsage(all), process.threadCpuUsage(own)];
    assert.ok(here.user + here.system < (total.user + total.system) / 2, JSON.stringify({ total, here }));
    assert.equal(await problem('a'.repeat(60) + 'xK9$mQ2pVz7#aLw4'), 'repeats');
  });

  it('An account with an existing weak password can still sign in', async () => {
    const person = { ...ann, password: 'password1234567', roles: [], origin: 'operator' as const };
    await register(parts, person, OPERATOR);
    const { outcome } = await openSignIn(parts)({ ...person, address: '192.0.2.1' });
    assert.equal(outcome, 'signed-in');
  });
});
