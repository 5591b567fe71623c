import assert from 'node:assert/strict';
import fc from 'fast-check';
import { KNOWN_DEVICE_LIFE, openKnownDevices } from '../../src/credentials/known-device.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { MovedClock } from '../support/clock.ts';

describe('Known-device tokens', () => {
  const ann = { account: 'acc_ann', version: 'v1' };
  const clock = new MovedClock();
  const open = (key = 'k'.repeat(32)) => openKnownDevices({ key, clock, random: systemRandom });

  it('A known-device token identifies its device only for the account that signed in there', () => {
    const token = open().issue(ann, undefined);
    assert.match(open().verify(token, ann) ?? '', /^[\w-]{22}$/);
    assert.equal(open().verify(token, { ...ann, account: 'acc_bob' }), undefined);
    assert.equal(open('x'.repeat(32)).verify(token, ann), undefined);
  });

  it('A known-device token does not reveal its account', () => {
    const person = { account: 'acc_annabelle', version: 'version-one' };
    const decoded = (text: string) => Buffer.from(text, 'base64url').toString('latin1');
    const token = open().issue(person, undefined);
    for (const text of [token, ...token.split('.').map(decoded)]) assert.doesNotMatch(text, /annabelle|version-one/);
  });

  it('A known-device token is invalid once the account’s password has changed', () => {
    const token = open().issue(ann, undefined);
    assert.equal(open().verify(token, { ...ann, version: 'v2' }), undefined);
  });

  it('A renewed known-device token keeps its device, and different devices have different tokens', () => {
    const device = open().verify(open().issue(ann, undefined), ann);
    assert.equal(open().verify(open().issue(ann, device), ann), device);
    assert.notEqual(open().verify(open().issue(ann, undefined), ann), device);
  });

  it('A known-device token expires, and nobody can extend it', () => {
    const token = open().issue(ann, undefined);
    clock.advance(KNOWN_DEVICE_LIFE - 1);
    assert.ok(open().verify(token, ann) !== undefined);
    clock.advance(1);
    assert.equal(open().verify(token, ann), undefined);
    const [device, expiresAt, ...rest] = token.split('.');
    assert.equal(open().verify([device, Number(expiresAt) + 3600, ...rest].join('.'), ann), undefined);
  });

  it('A known-device token is invalid if any part of it is altered, missing or added', () => {
    const token = open().issue(ann, undefined);
    for (let position = 0; position < token.length; position += 1) {
      const altered = token.slice(0, position) + (token[position] === 'A' ? 'B' : 'A') + token.slice(position + 1);
      assert.equal(open().verify(altered, ann), undefined, altered);
    }
    for (const other of [undefined, '', '.', '..', '...', `${token}.x`, token.slice(1), token.slice(0, -1)]) {
      assert.equal(open().verify(other, ann), undefined, other);
    }
  });

  it('A known-device token identifies its browser even after a password change, but not if it is altered', () => {
    const token = open().issue(ann, undefined);
    assert.equal(open().browser(token), open().verify(token, ann));
    assert.equal(open('x'.repeat(32)).browser(token), undefined);
    assert.equal(open().browser(token.replace(/\w/, (first) => (first === 'A' ? 'B' : 'A'))), undefined);
    assert.equal(open().browser(token.split('.').slice(0, 3).join('.')), undefined);
  });

  it('The verification of arbitrary text as a known-device token does not throw', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 4 }), text, (parts, person) => {
        assert.equal(open().verify(parts.join('.'), { account: person, version: person }), undefined);
      }),
    );
  });
});
