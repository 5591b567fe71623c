import assert from 'node:assert/strict';
import fc from 'fast-check';
import { KNOWN_DEVICE_LIFE, openKnownDevices } from '../../src/credentials/known-device.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { MovedClock } from '../support/clock.ts';

describe('A known-device token', () => {
  const email = 'ann@example.com';
  const clock = new MovedClock();
  const open = (key = 'k'.repeat(32)) => openKnownDevices({ key, clock, random: systemRandom });

  it('names its device for the account that signed in there, and for no other', () => {
    const token = open().issue(email, undefined);
    assert.match(open().verify(token, email) ?? '', /^[\w-]{22}$/);
    assert.equal(open().verify(token, 'bob@example.com'), undefined);
    assert.equal(open('x'.repeat(32)).verify(token, email), undefined);
  });

  it('does not show the address', () => {
    assert.doesNotMatch(open().issue(email, undefined), /ann|example/);
  });

  it('keeps the device when it is renewed, and differs between devices', () => {
    const device = open().verify(open().issue(email, undefined), email);
    assert.equal(open().verify(open().issue(email, device), email), device);
    assert.notEqual(open().verify(open().issue(email, undefined), email), device);
  });

  it('ends after its life, which nobody can lengthen', () => {
    const token = open().issue(email, undefined);
    clock.advance(KNOWN_DEVICE_LIFE - 1);
    assert.ok(open().verify(token, email) !== undefined);
    clock.advance(1);
    assert.equal(open().verify(token, email), undefined);
    const [device, expiresAt, signature] = token.split('.');
    assert.equal(open().verify([device, Number(expiresAt) + 3600, signature].join('.'), email), undefined);
  });

  it('is worth nothing when anything in it is altered, missing or added', () => {
    const token = open().issue(email, undefined);
    for (let position = 0; position < token.length; position += 1) {
      const altered = token.slice(0, position) + (token[position] === 'A' ? 'B' : 'A') + token.slice(position + 1);
      assert.equal(open().verify(altered, email), undefined, altered);
    }
    for (const other of [undefined, '', '.', '..', '...', `${token}.x`, token.slice(1), token.slice(0, -1)]) {
      assert.equal(open().verify(other, email), undefined, other);
    }
  });

  it('is read from any text without throwing', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 4 }), text, (parts, person) => {
        assert.equal(open().verify(parts.join('.'), person), undefined);
      }),
    );
  });
});
