import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type CryptoKey, type JWK } from 'jose';
import { returnToPresent, travel } from '../support/clock.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

interface Made {
  readonly claims?: Record<string, unknown>;
  readonly header?: Record<string, unknown>;
  readonly key?: CryptoKey | Uint8Array;
}

describe('DPoP proofs at the token endpoint (RFC 9449 §4.3)', () => {
  let server: TestServer;
  let key: CryptoKey;
  let jwk: JWK;
  let other: { privateKey: CryptoKey; jwk: JWK };
  before(async () => {
    server = await startTestServer();
    const pair = await generateKeyPair('ES256', { extractable: true });
    [key, jwk] = [pair.privateKey, await exportJWK(pair.publicKey)];
    const stranger = await generateKeyPair('ES256');
    other = { privateKey: stranger.privateKey, jwk: await exportJWK(stranger.publicKey) };
  });
  after(() => server.close());

  const now = (): number => Math.floor(Date.now() / 1000);

  /** @param made goes over what a good proof says; `undefined` leaves a member out */
  function proof({ claims = {}, header = {}, key: by = key }: Made = {}): Promise<string> {
    const usual = { jti: randomUUID(), htm: 'POST', htu: `${server.issuer}/token`, iat: now() };
    return new SignJWT({ ...usual, ...claims })
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk, ...header })
      .sign(by);
  }

  async function ask(
    dpop: string,
    { issuer } = server,
  ): Promise<{ status: number; body: Record<string, unknown>; nonce: string | null }> {
    const response = await fetch(`${issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('demo-service:demo-service-secret')}`, dpop },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    const body = (await response.json()) as Record<string, unknown>;
    return { status: response.status, body, nonce: response.headers.get('dpop-nonce') };
  }

  const good: Record<string, () => Made> = {
    'all required claims': () => ({}),
    'a query and a fragment in htu': () => ({ claims: { htu: `${server.issuer}/token?x=1#y` } }),
    'htu in capitals': () => ({ claims: { htu: `${server.issuer.toUpperCase()}/token` } }),
    'a listed algorithm and a matching key': () => ({ header: { alg: 'ES256' } }),
  };
  for (const [what, made] of Object.entries(good)) {
    it(`The token endpoint accepts a DPoP proof with ${what}`, async () => {
      const { status, body } = await ask(await proof(made()));
      assert.deepEqual([status, body['token_type']], [200, 'DPoP'], JSON.stringify(body));
    });
  }

  const faulty: Record<string, () => Promise<string> | string> = {
    'that is not a JWT': () => 'proof',
    'that is a list of two': async () => `${await proof()}, ${await proof()}`,
    'of another type': () => proof({ header: { typ: 'JWT' } }),
    'without a type': () => proof({ header: { typ: undefined } }),
    'without a signature': () =>
      new UnsecuredJWT({ jti: 'x', htm: 'POST', htu: `${server.issuer}/token`, iat: now() }).encode(),
    'signed with a shared secret': () =>
      proof({ header: { alg: 'HS256', jwk: { kty: 'oct', k: btoa('x'.repeat(32)) } }, key: Buffer.alloc(32, 'x') }),
    'without its key': () => proof({ header: { jwk: undefined } }),
    'with a private key': async () => proof({ header: { jwk: await exportJWK(key) } }),
    'with another public key': () => proof({ header: { jwk: other.jwk } }),
    'signed with another private key': () => proof({ key: other.privateKey }),
    'without jti': () => proof({ claims: { jti: undefined } }),
    'without htm': () => proof({ claims: { htm: undefined } }),
    'for another method': () => proof({ claims: { htm: 'GET' } }),
    'without htu': () => proof({ claims: { htu: undefined } }),
    'for another URL': () => proof({ claims: { htu: `${server.issuer}/userinfo` } }),
    'for another host': () => proof({ claims: { htu: 'https://elsewhere.example/token' } }),
    'without iat': () => proof({ claims: { iat: undefined } }),
  };
  for (const [what, made] of Object.entries(faulty)) {
    it(`The token endpoint refuses a DPoP proof ${what}`, async () => {
      const { status, body } = await ask(await made());
      assert.deepEqual([status, body['error']], [400, 'invalid_dpop_proof'], JSON.stringify(body));
      assert.equal(body['access_token'], undefined);
    });
  }

  it('The token endpoint answers use_dpop_nonce to a DPoP proof from an hour ago or ahead (RFC 9449 §8)', async () => {
    for (const iat of [now() - 3600, now() + 3600]) {
      const { status, body, nonce } = await ask(await proof({ claims: { iat } }));
      assert.deepEqual([status, body['error']], [400, 'use_dpop_nonce']);
      assert.match(nonce ?? '', /./);
      assert.equal((await ask(await proof({ claims: { iat, nonce } }))).status, 200, 'the nonce says when it was made');
    }
  });

  it('The token endpoint refuses a repeated DPoP proof as long as any node accepts its time, despite clock skew', async () => {
    const SKEW = 60;
    let later = 0;
    const clock = { now: () => performance.timeOrigin + performance.now() + later * 1000 };
    await using own = await startTestServer({ clock });
    const made = (iat: number) => proof({ claims: { iat, htu: `${own.issuer}/token` } });
    try {
      assert.equal(own.config.keys.clock_skew, SKEW);
      // The node is ahead of the store, and the proof ahead of the node.
      travel(SKEW);
      const iat = now() + 290;
      const [once, fresh] = [await made(iat), await made(iat)];
      assert.equal((await ask(once, own)).status, 200);
      // The node is behind the store, and the proof behind the node.
      later = 700;
      travel(later - 2 * SKEW);
      const { status, body } = await ask(once, own);
      assert.deepEqual([status, body['error']], [400, 'invalid_grant'], JSON.stringify(body));
      assert.equal((await ask(fresh, own)).status, 200, 'its time is still accepted');
    } finally {
      returnToPresent();
    }
  });
});
