import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { demoConfig } from '../../src/config/demo.ts';
import { LEAST_BITS, possibleBits } from '../../src/config/loading/secret-strength.ts';
import { problemsOf } from './problems-of.ts';

describe('The strength of client secrets', () => {
  it('Secrets that tools create with at least 128 bits are strong enough', () => {
    for (let round = 0; round < 200; round += 1) {
      for (const size of [16, 24, 32])
        for (const encoding of ['hex', 'base64', 'base64url'] as const) {
          const secret = randomBytes(size).toString(encoding);
          assert.ok(possibleBits(secret) >= LEAST_BITS, `${secret}: ${possibleBits(secret)}`);
        }
      assert.ok(possibleBits(randomUUID()) >= LEAST_BITS);
    }
  });

  const weak = ['abc', 'secret', 'demo-web-secret', 'a'.repeat(500), 'abc'.repeat(100), '0123456789'.repeat(9), 'abcdefghijklmnopqrstuvwxyz0123456789', '12345678901234567890123456789012', randomBytes(8).toString('hex').repeat(4), randomBytes(12).toString('base64'), 'Passw0rd!']; // prettier-ignore
  for (const secret of weak) {
    it(`The secret ${JSON.stringify(secret.slice(0, 40))} is too weak`, () => {
      assert.ok(possibleBits(secret) < LEAST_BITS, String(possibleBits(secret)));
    });
  }

  it('A long phrase and a secret in any alphabet are strong enough', () => {
    for (const secret of [
      'three horses went over a bridge',
      'MZXW6YTBOI4K3CQ7PNX2VUHTLE',
      'Zürich-Genève-Łódź-Malmö-Århus',
    ])
      assert.ok(possibleBits(secret) >= LEAST_BITS, `${secret}: ${possibleBits(secret)}`);
  });

  it('The estimate of a long secret takes linear time', () => {
    assert.ok(possibleBits(`${'='.repeat(300_000)}a`) < LEAST_BITS);
  });

  it('The well-known demo secrets are too weak elsewhere', () => {
    const revealed = demoConfig().clients.flatMap(({ secret }) => secret?.reveal() ?? []);
    assert.ok(revealed.length > 0);
    for (const secret of revealed) assert.ok(possibleBits(secret) < LEAST_BITS, secret);
  });

  it('The report names the setting of a weak secret and the command that creates a better one', () => {
    const text = `issuer: https://login.example.com
clients:
  - client_id: web
    client_name: Web
    type: web
    secret: { env: WEB }
    redirect_uris: ['https://app.example/callback']`;
    assert.deepEqual(problemsOf(text, { environment: { WEB: 'abc' } }), [
      '6 clients[0].secret: client "web": can be guessed: it has at most 12 bits of entropy instead of 128; generate one with latchkey secret new',
    ]);
  });
});
