import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { exportSPKI, importJWK, SignJWT } from 'jose';
import { createVerifier, InvalidToken, IssuerUnavailable } from '../../src/resource-server/resource-server.ts';
import type { TokenFault, Verifier } from '../../src/resource-server/resource-server.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { serve } from './serving.ts';
import { AUDIENCE, currentDate, newKey, NOW, startIssuer } from './issuer.ts';
import type { Issuer } from './issuer.ts';
import { until } from '../support/until.ts';

describe('The access token verifier', () => {
  let issuer: Issuer;
  let verifier: Verifier;

  beforeEach(async () => {
    issuer = await startIssuer();
    verifier = createVerifier({ issuer: issuer.url, audience: AUDIENCE, currentDate });
  });
  afterEach(() => {
    returnToPresent();
    return issuer.close();
  });

  async function refuses(token: string, fault: TokenFault): Promise<void> {
    await assert.rejects(verifier.verify(token), (error) => error instanceof InvalidToken && error.fault === fault);
  }

  const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

  it('The verifier reads the account, the client, the scopes and the roles from a good token', async () => {
    const token = await verifier.verify(await issuer.token({ note: 'kept' }));
    const { claims, ...rest } = token;
    assert.deepEqual(rest, {
      sub: 'account-1',
      clientId: 'demo-notes',
      jti: 'token-1',
      expiresAt: NOW + 900,
      scopes: ['openid', 'notes:read'],
      roles: ['user'],
    });
    assert.equal(claims['note'], 'kept');
  });

  it('The verifier accepts RS256, a list of audiences with its own, and the long form of the type', async () => {
    const rsa = await newKey('rsa', 'RS256');
    issuer.published.push(rsa.publicJwk);
    const header = { alg: 'RS256', kid: 'rsa', typ: 'application/at+jwt' };
    const token = await issuer.token({ aud: ['https://other.example', AUDIENCE] }, header, rsa.privateKey);
    assert.equal((await verifier.verify(token)).sub, 'account-1');
  });

  it('A token without scopes and roles has none for the verifier', async () => {
    const { scopes, roles } = await verifier.verify(await issuer.token({ scope: undefined, roles: undefined }));
    assert.deepEqual([scopes, roles], [[], []]);
  });

  describe('Forged signatures', () => {
    it('The verifier refuses unsigned tokens', async () => {
      const [, payload = ''] = (await issuer.token()).split('.');
      for (const alg of ['none', 'None', 'NONE', '']) {
        const header = base64url({ alg, typ: 'at+jwt', kid: 'first' });
        await refuses(`${header}.${payload}.`, alg === '' ? 'malformed' : 'algorithm');
      }
    });

    it('The verifier refuses a token that was signed with the public key as an HMAC secret', async () => {
      const publicKey = await importJWK(issuer.key.publicJwk, 'ES256', { extractable: true });
      assert.ok(!(publicKey instanceof Uint8Array));
      const [, payload = ''] = (await issuer.token()).split('.');
      const secrets = [await exportSPKI(publicKey), JSON.stringify(issuer.key.publicJwk)];
      for (const secret of secrets) {
        const signed = `${base64url({ alg: 'HS256', typ: 'at+jwt', kid: 'first' })}.${payload}`;
        const signature = createHmac('sha256', secret).update(signed).digest('base64url');
        await refuses(`${signed}.${signature}`, 'algorithm');
      }
    });

    it('The verifier refuses a token of another key under a published kid, even if it brings that key along', async () => {
      const thief = await newKey('first');
      await refuses(await issuer.token({}, {}, thief.privateKey), 'signature');
      const own = { jwk: thief.publicJwk, jku: `${issuer.url}/evil`, x5u: `${issuer.url}/evil` };
      await refuses(await issuer.token({}, own, thief.privateKey), 'signature');
      assert.ok(!issuer.requests.includes('/evil'));
    });

    it('The verifier refuses a token whose claims were changed after signing', async () => {
      const [header = '', payload = '', signature = ''] = (await issuer.token()).split('.');
      const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
      const raised = base64url({ ...Object(claims), roles: ['admin'] });
      await refuses(`${header}.${raised}.${signature}`, 'signature');
    });

    it('The verifier refuses a good algorithm that is not on its list', async () => {
      const rsa = await newKey('rsa', 'RS256');
      issuer.published.push(rsa.publicJwk);
      verifier = createVerifier({ issuer: issuer.url, audience: AUDIENCE, algorithms: ['ES256'], currentDate });
      await refuses(await issuer.token({}, { alg: 'RS256', kid: 'rsa' }, rsa.privateKey), 'algorithm');
    });

    it('The verifier refuses a token that demands an unknown extension', async () => {
      await assert.rejects(issuer.token({}, { crit: ['exp2'] }));
      const [, payload = '', signature = ''] = (await issuer.token()).split('.');
      const header = base64url({ alg: 'ES256', typ: 'at+jwt', kid: 'first', crit: ['exp2'], exp2: 1 });
      await refuses(`${header}.${payload}.${signature}`, 'malformed');
    });
  });

  describe('Genuine signatures over unacceptable tokens', () => {
    it('The verifier refuses a token that demands an extension of the JOSE library', async () => {
      await refuses(await issuer.token({}, { crit: ['b64'], b64: true }), 'malformed');
      await refuses(await issuer.token({}, { b64: true }), 'malformed');
    });

    it('The verifier refuses a token of the type JWT unless the API accepts that type', async () => {
      const claims = { ...(await verifier.verify(await issuer.token())).claims };
      const typed = (typ: string | undefined) =>
        new SignJWT(claims)
          .setProtectedHeader({ alg: 'ES256', kid: 'first', ...(typ !== undefined && { typ }) })
          .sign(issuer.key.privateKey);
      await refuses(await typed('JWT'), 'type');
      const lax = { issuer: issuer.url, audience: AUDIENCE, types: ['at+jwt', 'jwt'] as const, currentDate };
      verifier = createVerifier(lax);
      for (const typ of ['JWT', 'jwt', 'at+jwt', undefined]) {
        assert.equal((await verifier.verify(await typed(typ))).sub, 'account-1', typ);
      }
      for (const typ of ['logout+jwt', 'dpop+jwt']) await refuses(await typed(typ), 'type');
    });

    it('The verifier refuses an ID token, a logout token and a token without a type', async () => {
      for (const typ of ['JWT', 'logout+jwt', 'at+jwt2', undefined]) {
        const header = { alg: 'ES256', kid: 'first', ...(typ === undefined ? {} : { typ }) };
        const claims = { ...(await verifier.verify(await issuer.token())).claims };
        await refuses(await new SignJWT(claims).setProtectedHeader(header).sign(issuer.key.privateKey), 'type');
      }
    });

    const cases: [string, Record<string, unknown>, TokenFault][] = [
      ['a token of another issuer', { iss: 'https://evil.example' }, 'issuer'],
      ['a token without issuer', { iss: undefined }, 'issuer'],
      ['a token for another audience', { aud: 'https://other.example' }, 'audience'],
      ['a token for an audience with the same prefix', { aud: `${AUDIENCE}/v2` }, 'audience'],
      ['a token without audience', { aud: undefined }, 'audience'],
      ['an expired token', { exp: NOW - 6 }, 'expired'],
      ['a token without expiry', { exp: undefined }, 'claims'],
      ['a token whose expiry is no number', { exp: 'never' }, 'claims'],
      ['a token without time of issue', { iat: undefined }, 'claims'],
      ['a token that is not yet valid', { nbf: NOW + 6 }, 'not_yet_valid'],
      ['a token without subject', { sub: undefined }, 'claims'],
      ['a token whose subject is no string', { sub: ['account-1'] }, 'claims'],
      ['a token without client', { client_id: undefined }, 'claims'],
      ['a token without identifier', { jti: undefined }, 'claims'],
      ['a token whose scope is a list', { scope: ['notes:read'] }, 'claims'],
      ['a token whose roles are a string', { roles: 'admin' }, 'claims'],
      ['a DPoP-bound token', { cnf: { jkt: 'thumbprint' } }, 'sender_constrained'],
    ];
    for (const [title, claims, fault] of cases) {
      it(`The verifier refuses ${title}`, async () => refuses(await issuer.token(claims), fault));
    }

    it('The verifier refuses a token whose issuer has an extra slash', async () =>
      refuses(await issuer.token({ iss: `${issuer.url}/` }), 'issuer'));

    it('The verifier accepts token times that differ by the clock tolerance', async () => {
      const token = await issuer.token({ exp: NOW - 4, nbf: NOW + 5 });
      assert.equal((await verifier.verify(token)).sub, 'account-1');
    });
  });

  it('The verifier refuses garbage of any size without a request to the issuer', async () => {
    const garbage = ['', '.', '..', '....', 'a.b.c', 'e30.e30.e30', 'ünï.cö.de', `${'A'.repeat(100_000)}.e30.AA`, '\0'];
    for (const token of garbage) await refuses(token, 'malformed');
    assert.deepEqual(issuer.requests, []);
  });

  describe('The keys of the issuer', () => {
    it('The verifier fetches metadata and keys once for many simultaneous tokens', async () => {
      const token = await issuer.token();
      await Promise.all(Array.from({ length: 20 }, () => verifier.verify(token)));
      assert.deepEqual(issuer.requests, ['/.well-known/oauth-authorization-server', '/jwks']);
    });

    it('Made-up key IDs do not cause requests to the issuer', async () => {
      for (let n = 0; n < 30; n += 1) await refuses(await issuer.token({}, { kid: `made-up-${n}` }), 'unknown_key');
      assert.equal(issuer.requests.filter((path) => path === '/jwks').length, 1);
    });

    it('The verifier learns a new key and drops one that is no longer published', async () => {
      verifier = createVerifier({ issuer: issuer.url, audience: AUDIENCE, cooldown: 0, currentDate });
      const old = await issuer.token();
      await verifier.verify(old);
      const next = await newKey('second');
      issuer.published.splice(0, 1, next.publicJwk);
      const token = await issuer.token({}, { kid: 'second' }, next.privateKey);
      assert.equal((await verifier.verify(token)).sub, 'account-1');
      await refuses(old, 'unknown_key');
    });

    it('The verifier refuses a revoked key’s tokens once its copy of the keys is five minutes old', async () => {
      const token = await issuer.token();
      await verifier.verify(token);
      issuer.published.splice(0, 1, (await newKey('second')).publicJwk);
      travel(4 * 60);
      await verifier.verify(token);
      travel(61);
      await refuses(token, 'unknown_key');
    });

    it('The verifier relies on its copy of the keys for at most five minutes', async () => {
      const token = await issuer.token();
      await verifier.verify(token);
      issuer.failure = 503;
      travel(299);
      await verifier.verify(token);
      travel(2);
      await assert.rejects(verifier.verify(token), IssuerUnavailable);
    });

    it('The verifier fetches the keys again before they expire and uses its copy meanwhile', async () => {
      const token = await issuer.token();
      await verifier.verify(token);
      issuer.routes.set('/jwks', () => undefined);
      travel(241);
      await verifier.verify(token);
      await until(() => issuer.requests.filter((path) => path === '/jwks').length >= 2);
      travel(58);
      await verifier.verify(token);
    });

    it('Good tokens do not wait while made-up key IDs cause a request to the issuer', async () => {
      const token = await issuer.token();
      await verifier.verify(token);
      let asked = 0;
      issuer.routes.set('/jwks', () => (asked += 1));
      travel(31);
      const madeUp = await Promise.all(Array.from({ length: 50 }, (_, n) => issuer.token({}, { kid: `made-up-${n}` })));
      const waiting = madeUp.map((text) => verifier.verify(text).catch(() => undefined));
      for (let n = 0; n < 50; n += 1) await verifier.verify(token);
      assert.equal(asked, 1);
      await issuer.close();
      await Promise.all(waiting);
    });

    it('The verifier reports an unknown key as unavailable while the issuer is away', async () => {
      await verifier.verify(await issuer.token());
      issuer.failure = 500;
      travel(31);
      const unknown = await issuer.token({}, { kid: 'made-up' });
      for (let n = 0; n < 2; n += 1) await assert.rejects(verifier.verify(unknown), IssuerUnavailable);
      assert.equal(issuer.requests.filter((path) => path === '/jwks').length, 2);
      await verifier.verify(await issuer.token());
    });

    it('The verifier refuses a key set that is malformed, oversized or has a broken key', async () => {
      const bodies = ['x', '[]', '{"keys":7}', ' '.repeat(3_000_000)];
      for (const body of bodies) {
        issuer.routes.set('/jwks', (_request, response) => response.end(body));
        await isUnavailable();
      }
      const broken = { ...issuer.key.publicJwk, x: issuer.key.publicJwk.y };
      issuer.routes.set('/jwks', (_request, response) => response.end(JSON.stringify({ keys: [broken] })));
      const fresh = createVerifier({ issuer: issuer.url, audience: AUDIENCE, currentDate });
      await assert.rejects(fresh.verify(await issuer.token()), IssuerUnavailable);
    });

    it('The verifier reports keys that are too short as unavailable, even for a forged signature', async () => {
      const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
      issuer.published.push({ ...publicKey.export({ format: 'jwk' }), kid: 'short', alg: 'RS256', use: 'sig' });
      const [, payload = ''] = (await issuer.token()).split('.');
      const forged = `${base64url({ alg: 'RS256', typ: 'at+jwt', kid: 'short' })}.${payload}.${'A'.repeat(171)}`;
      await assert.rejects(verifier.verify(forged), IssuerUnavailable);
      await verifier.verify(await issuer.token());
    });

    it('The verifier refuses a token without a kid if several keys could have signed it', async () => {
      issuer.published.push((await newKey('second')).publicJwk);
      const claims = { ...(await verifier.verify(await issuer.token())).claims };
      const header = { alg: 'ES256', typ: 'at+jwt' };
      await refuses(await new SignJWT(claims).setProtectedHeader(header).sign(issuer.key.privateKey), 'unknown_key');
    });

    it('The verifier finds the keys by OpenID Connect metadata or by their configured address', async () => {
      await using openid = await startIssuer('/.well-known/openid-configuration');
      const options = { issuer: openid.url, audience: AUDIENCE, currentDate };
      await createVerifier(options).verify(await openid.token());
      assert.deepEqual(openid.requests.slice(1), ['/.well-known/openid-configuration', '/jwks']);

      await using bare = await startIssuer('/nowhere');
      const direct = createVerifier({ ...options, issuer: bare.url, jwksUri: `${bare.url}/jwks` });
      await direct.verify(await bare.token());
      assert.deepEqual(bare.requests, ['/jwks']);
    });

    it('The verifier finds the metadata of an issuer with a path at the address from RFC 8414', async () => {
      await using tenant = await startIssuer('/.well-known/oauth-authorization-server/tenant');
      tenant.metadata['issuer'] = `${tenant.url}/tenant`;
      const options = { issuer: `${tenant.url}/tenant`, audience: AUDIENCE, currentDate };
      const { claims } = await createVerifier(options).verify(await tenant.token({ iss: options.issuer }));
      assert.equal(claims.iss, options.issuer);
    });

    it('The verifier follows no redirect from the metadata address', async () => {
      await using elsewhere = await serve((_request, response) => {
        response.writeHead(302, { Location: `${issuer.url}/.well-known/oauth-authorization-server` }).end();
      });
      issuer.metadata['issuer'] = elsewhere.url;
      const led = createVerifier({ issuer: elsewhere.url, audience: AUDIENCE, currentDate });
      await assert.rejects(led.verify(await issuer.token({ iss: elsewhere.url })), IssuerUnavailable);
      assert.deepEqual(issuer.requests, []);
    });

    async function isUnavailable(): Promise<void> {
      await assert.rejects(verifier.verify(await issuer.token()), IssuerUnavailable);
    }

    it('The verifier refuses metadata that names another issuer or no keys', async () => {
      for (const lie of [{ issuer: 'https://evil.example' }, { jwks_uri: undefined }, { jwks_uri: 7 }]) {
        const truth = { ...issuer.metadata };
        Object.assign(issuer.metadata, lie);
        await isUnavailable();
        Object.assign(issuer.metadata, truth);
      }
      await verifier.verify(await issuer.token());
    });

    it('The verifier reports unavailable keys, not a bad token, and recovers when the issuer is back', async () => {
      issuer.failure = 500;
      await isUnavailable();
      issuer.failure = undefined;
      assert.equal((await verifier.verify(await issuer.token())).sub, 'account-1');
    });

    it('The verifier keeps using its copy of the keys while the issuer is away', async () => {
      const token = await issuer.token();
      await verifier.verify(token);
      await issuer.close();
      assert.equal((await verifier.verify(token)).sub, 'account-1');
      await refuses(await issuer.token({}, { kid: 'unknown' }), 'unknown_key');
    });

    it('The verifier reports unavailable keys if the connection is refused', async () => {
      await issuer.close();
      await isUnavailable();
    });
  });

  it('A verifier cannot be created with symmetric or no algorithms, or without an issuer or audience', () => {
    const options = { issuer: 'https://issuer.example', audience: AUDIENCE };
    for (const algorithm of ['none', 'HS256', 'ECDH-ES', '']) {
      const error = { name: 'TypeError', message: `${algorithm} is not an asymmetric signature algorithm` };
      assert.throws(() => createVerifier({ ...options, algorithms: ['ES256', algorithm] }), error);
    }
    assert.throws(() => createVerifier({ ...options, issuer: 'issuer.example' }), TypeError);
    assert.throws(() => createVerifier({ ...options, audience: '' }), TypeError);
  });
});
