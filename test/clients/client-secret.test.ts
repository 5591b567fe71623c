import assert from 'node:assert/strict';
import { hashClientSecret, isClientSecret } from '../../src/clients/clients.ts';
import { systemRandom } from '../../src/lib/random.ts';

const SECRET = 'made-by-an-operator-0123456789';

describe('A client secret', () => {
  it('A client secret matches its hash, and the hash does not contain the secret', () => {
    const hash = hashClientSecret(SECRET, systemRandom);
    assert.ok(isClientSecret(hash, SECRET));
    for (const encoding of ['utf8', 'base64url', 'hex'] as const)
      assert.ok(!hash.includes(Buffer.from(SECRET).toString(encoding)));
  });

  it('Two hashes of one client secret differ, so that equal secrets do not show', () => {
    const hashes = Array.from({ length: 10 }, () => hashClientSecret(SECRET, systemRandom));
    assert.equal(new Set(hashes).size, 10);
    assert.ok(hashes.every((hash) => isClientSecret(hash, SECRET)));
  });

  it('No other text matches a client secret’s hash, not even a part of the hash', () => {
    const hash = hashClientSecret(SECRET, systemRandom);
    const [salt = '', digest = ''] = hash.split('.');
    for (const guess of ['', SECRET.toUpperCase(), SECRET.slice(1), `${SECRET} `, `${SECRET}\0`, hash, salt, digest])
      assert.ok(!isClientSecret(hash, guess), JSON.stringify(guess));
  });

  it('No client secret matches an absent or broken hash', () => {
    for (const hash of ['', '.', 'salt', 'salt.', '.digest', '..'])
      for (const guess of ['', 'undefined', 'salt', 'digest']) assert.ok(!isClientSecret(hash, guess));
  });
});
