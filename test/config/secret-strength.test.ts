import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { demoConfig } from '../../src/config/demo.ts';
import { LEAST_BITS, possibleBits } from '../../src/config/loading/secret-strength.ts';
import { problemsOf } from './problems-of.ts';

describe('The strength of a client secret', () => {
  it('is enough for what tools make with 128 bits or more', () => {
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
    it(`is too little for ${JSON.stringify(secret.slice(0, 40))}`, () => {
      assert.ok(possibleBits(secret) < LEAST_BITS, String(possibleBits(secret)));
    });
  }

  it('is enough for a long phrase, and for a secret of any alphabet', () => {
    for (const secret of [
      'three horses went over a bridge',
      'MZXW6YTBOI4K3CQ7PNX2VUHTLE',
      'Zürich-Genève-Łódź-Malmö-Århus',
    ])
      assert.ok(possibleBits(secret) >= LEAST_BITS, `${secret}: ${possibleBits(secret)}`);
  });

  it('is told in time that grows with its length', () => {
    assert.ok(possibleBits(`${'='.repeat(300_000)}a`) < LEAST_BITS);
  });

  it('of the demo, which everybody knows, is good in the demo alone', () => {
    const revealed = demoConfig().clients.flatMap(({ secret }) => secret?.reveal() ?? []);
    assert.ok(revealed.length > 0);
    for (const secret of revealed) assert.ok(possibleBits(secret) < LEAST_BITS, secret);
  });

  it('is named with the path of the setting and the command that makes a better one', () => {
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
