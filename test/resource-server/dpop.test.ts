import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { JWK } from 'jose';
import type { VerifierOptions } from '../../src/resource-server/resource-server.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { newHolder } from '../support/dpop.ts';
import type { Holder } from '../support/dpop.ts';
import { bearer, startApi } from './api.ts';
import type { Api, ApiAnswer } from './api.ts';
import { AUDIENCE, NOW, startIssuer } from './issuer.ts';
import type { Issuer } from './issuer.ts';

const described = `resource_metadata="${AUDIENCE}/.well-known/oauth-protected-resource"`;
const algs = 'algs="ES256 EdDSA Ed25519 PS256 RS256"';

/** `undefined` leaves out what a good one has. */
type Changes = Record<string, unknown>;

describe('An API that accepts key-bound tokens (DPoP)', () => {
  let issuer: Issuer;
  let api: Api;
  let holder: Holder;
  let token: string;
  let proofs = 0;

  beforeEach(async () => {
    issuer = await startIssuer();
    api = await startApi(issuer);
    holder = await newHolder();
    token = await boundTo(holder.jwk);
  });
  afterEach(async () => {
    returnToPresent();
    await api.close();
    await issuer.close();
  });

  const boundTo = async (jwk: JWK): Promise<string> =>
    issuer.token({ cnf: { jkt: await calculateJwkThumbprint(jwk) } });
  const athOf = (text: string): string => createHash('sha256').update(text).digest('base64url');

  /** A good proof for `GET /`, except where the arguments say otherwise; `undefined` leaves a claim out. */
  function proof(claims: Changes = {}, header: Changes = {}, by = holder): Promise<string> {
    proofs += 1;
    const good = { htm: 'GET', htu: `${AUDIENCE}/`, iat: NOW, ath: athOf(token), jti: `proof-${proofs}` };
    return new SignJWT({ ...good, ...claims })
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: by.jwk, ...header })
      .sign(by.key);
  }

  const send = (dpop: string | string[], path = '/', method = 'GET'): Promise<ApiAnswer> =>
    api.ask({ path, method, headers: { authorization: `DPoP ${token}`, dpop } });

  function assertRefused(answer: ApiAnswer, error: string, description: string): void {
    assert.deepEqual(answer.challenges, [
      `Bearer realm="${AUDIENCE}", ${described}`,
      `DPoP realm="${AUDIENCE}", error="${error}", error_description="${description}", ${algs}, ${described}`,
    ]);
    assert.deepEqual(JSON.parse(answer.body), { error, error_description: description });
    assert.equal(answer.status, 401);
  }

  const refusesProof = async (dpop: string | string[], description: string): Promise<void> =>
    assertRefused(await send(dpop), 'invalid_dpop_proof', description);

  it('The API accepts the key holder’s token with a fresh proof for each request', async () => {
    for (const scheme of ['DPoP', 'dpop']) {
      const headers = { authorization: `${scheme} ${token}`, dpop: await proof() };
      assert.deepEqual([(await api.ask({ headers })).status], [200]);
    }
  });

  it('The API accepts every equivalent spelling of its URL, whatever the query', async () => {
    const spellings = [
      'HTTPS://API.example/a~b',
      'https://api.example:443/x/../a%7Eb',
      'https://api.example/a%7eb?q#f',
    ];
    for (const htu of spellings) {
      assert.equal((await send(await proof({ htu }), '/a~b?page=2')).status, 200, htu);
    }
  });

  it('The API refuses a proof for another URL', async () => {
    const others = [`${AUDIENCE}/x`, `${AUDIENCE}:8443/`, 'http://api.example/', 'https://evil.example/', '/', '', 7];
    for (const htu of [...others, undefined, 'ftp://api.example/', 'https://api.example.evil/']) {
      await refusesProof(await proof({ htu }), 'The DPoP proof is for another URL');
    }
  });

  it('The API ignores Host and X-Forwarded-Host when it compares the URL of a proof', async () => {
    const dpop = await proof({ htu: 'https://evil.example/' });
    const headers = { authorization: `DPoP ${token}`, dpop, host: 'evil.example', 'x-forwarded-host': 'evil.example' };
    assertRefused(await api.ask({ headers }), 'invalid_dpop_proof', 'The DPoP proof is for another URL');
    const absolute = await send(await proof({ htu: 'https://evil.example/' }), 'https://evil.example/');
    assertRefused(absolute, 'invalid_dpop_proof', 'The DPoP proof is for another URL');
  });

  it('The API compares the URL of a proof with the public URL that its owner configured', async () => {
    await using behind = await startApi(issuer, { publicUrl: 'https://public.example/v1/' });
    const headers = { authorization: `DPoP ${token}`, dpop: await proof({ htu: 'https://public.example/v1/notes' }) };
    assert.equal((await behind.ask({ path: '/notes', headers })).status, 200);
  });

  it('The API refuses a proof for another method, for another token or for no token', async () => {
    await refusesProof(await proof({ htm: 'POST' }), 'The DPoP proof is for another method');
    await refusesProof(await proof({ htm: 'get' }), 'The DPoP proof is for another method');
    await refusesProof(await proof({ ath: athOf('other') }), 'The DPoP proof is for another token');
    await refusesProof(await proof({ ath: undefined }), 'The DPoP proof is for another token');
    const forPost = await send(await proof(), '/', 'POST');
    assertRefused(forPost, 'invalid_dpop_proof', 'The DPoP proof is for another method');
  });

  it('The API refuses a used proof for as long as the proof could be accepted', async () => {
    const ahead = await proof({ iat: NOW + 59 });
    const answers = await Promise.all([send(ahead), send(ahead), send(ahead)]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401]);
    travel(118);
    await refusesProof(ahead, 'The DPoP proof was used before');
  });

  it('The API refuses a used proof even if its memory has since discarded a generation', async () => {
    const ahead = await proof({ iat: NOW + 60 });
    // A memory of one window would turn over at each of these steps but the last, and forget at the second.
    travel(59);
    assert.equal((await send(ahead)).status, 200);
    for (const seconds of [2, 60, 57]) {
      travel(seconds);
      assert.equal((await send(await proof())).status, 200);
      await refusesProof(ahead, 'The DPoP proof was used before');
    }
  });

  it('A shared memory keeps each proof for as long as the clock of any API process accepts it', async () => {
    const asked: number[] = [];
    const replays = { claim: (_key: string, _jti: string, seconds: number) => asked.push(seconds) > 0 };
    await using shared = await startApi(issuer, { clockTolerance: 20, dpop: { window: 100, replays } });
    const headers = { authorization: `DPoP ${token}`, dpop: await proof() };
    assert.equal((await shared.ask({ headers })).status, 200);
    assert.deepEqual(asked, [241]);
  });

  it('The API refuses every proof for a request target that is no path below its public URL', async () => {
    await using behind = await startApi(issuer, { publicUrl: 'https://public.example/v1' });
    for (const [prefix, { verifier }] of [
      [AUDIENCE, api],
      ['https://public.example/v1', behind],
    ] as const) {
      const decide = verifier.guard();
      const statusOf = async (target: string, htu: string): Promise<number> => {
        const headers = new Map([['authorization', `DPoP ${token}`], ['dpop', await proof({ htu })]]); // prettier-ignore
        const decision = await decide({ method: 'GET', target, headers: (name) => [headers.get(name) ?? []].flat() });
        return decision.token === undefined ? decision.status : 200;
      };
      assert.equal(await statusOf('/a?page=2', `${prefix}/a`), 200);
      const targets = ['.evil/', '@evil.example/', '//evil.example/', 'https://evil.example/', '*', '', 'a'];
      for (const target of [...targets, '/\\evil.example/', '/\\..\\a', '/a#b', '/a\tb', '/a\n', ' /a']) {
        for (const htu of [prefix + target, `${prefix}/`, `${prefix}/a`, `${prefix}/ab`, target, `https:${target}`])
          assert.equal(await statusOf(target, htu), 401, `${JSON.stringify(target)} for ${htu}`);
      }
    }
    const dpop = await proof({ htu: 'https://public.example/admin' });
    const headers = { authorization: `DPoP ${token}`, dpop };
    assertRefused(
      await behind.ask({ path: '/../admin', headers }),
      'invalid_dpop_proof',
      'The DPoP proof is for another URL',
    );
  });

  it('The API refuses a proof that is a minute too old or too early, and one without a time', async () => {
    assert.equal((await send(await proof({ iat: NOW - 60 }))).status, 200);
    await refusesProof(await proof({ iat: NOW - 61 }), 'The DPoP proof is too old');
    await refusesProof(await proof({ iat: NOW + 61 }), 'The DPoP proof is from the future');
    await refusesProof(await proof({ iat: undefined }), 'The DPoP proof lacks its iat');
  });

  it('The API refuses a missing, repeated or oversized proof and one without an identifier', async () => {
    assertRefused(
      await api.ask({ headers: { authorization: `DPoP ${token}` } }),
      'invalid_dpop_proof',
      'The DPoP header is missing',
    );
    await refusesProof([await proof(), await proof()], 'There is more than one DPoP header');
    await refusesProof('A'.repeat(12_001), 'The DPoP proof is too long');
    for (const jti of ['', 7, undefined]) {
      await refusesProof(await proof({ jti }), 'The DPoP proof lacks its jti');
    }
  });

  it('The API refuses malformed and unsigned proofs', async () => {
    const [head = '', body = ''] = (await proof()).split('.');
    const unsigned = Buffer.from(JSON.stringify({ typ: 'dpop+jwt', alg: 'none', jwk: holder.jwk })).toString(
      'base64url',
    );
    const malformed = 'The DPoP proof is malformed, or its signature is wrong';
    const texts = ['x', 'a.b.c', `${head}.${body}.`, `${unsigned}.${body}.`, `${await proof()}, ${await proof()}`, '.'];
    for (const text of texts) await refusesProof(text, malformed);
    await refusesProof(await proof({}, { typ: 'JWT' }), malformed);
    await refusesProof(await proof({}, { typ: undefined }), malformed);
    await refusesProof(await proof({}, { jwk: undefined }), 'The DPoP proof lacks its key');
  });

  it('The API refuses a proof that demands an extension', async () => {
    const malformed = 'The DPoP proof is malformed, or its signature is wrong';
    await refusesProof(await proof({}, { crit: ['b64'], b64: true }), malformed);
    await refusesProof(await proof({}, { b64: true }), malformed);
  });

  it('The API refuses a proof whose key is private, symmetric or invalid', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const [privateJwk, publicJwk] = [await exportJWK(privateKey), await exportJWK(publicKey)];
    token = await boundTo(publicJwk);
    const malformed = 'The DPoP proof is malformed, or its signature is wrong';
    await refusesProof(await proof({}, { jwk: privateJwk }, { key: privateKey, jwk: publicJwk }), malformed);
    await refusesProof(await proof({}, { jwk: { kty: 'EC' } }), malformed);
    const offCurve = { ...holder.jwk, x: holder.jwk.y, y: holder.jwk.x } as JWK;
    token = await boundTo(offCurve);
    await refusesProof(await proof({}, { jwk: offCurve }), malformed);

    const secret = new Uint8Array(32);
    const shared = { kty: 'oct', k: Buffer.from(secret).toString('base64url') };
    token = await boundTo(shared);
    const claims = { htm: 'GET', htu: `${AUDIENCE}/`, iat: NOW, ath: athOf(token), jti: 'shared' };
    const header = { typ: 'dpop+jwt', alg: 'HS256', jwk: shared };
    await refusesProof(await new SignJWT(claims).setProtectedHeader(header).sign(secret), malformed);
  });

  it('The API refuses a proof by another key and one that only claims the right key', async () => {
    const thief = await newHolder();
    const byThief = await send(await proof({}, {}, thief));
    assertRefused(byThief, 'invalid_token', 'The access token is bound to a key other than that of the DPoP proof');
    const claimed = await proof({}, { jwk: holder.jwk }, thief);
    await refusesProof(claimed, 'The DPoP proof is malformed, or its signature is wrong');
  });

  it('The API refuses a proof with an algorithm that is not on its list', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES384');
    const other = { key: privateKey, jwk: await exportJWK(publicKey) };
    token = await boundTo(other.jwk);
    const malformed = 'The DPoP proof is malformed, or its signature is wrong';
    await refusesProof(await proof({}, { alg: 'ES384' }, other), malformed);
  });

  it('The API refuses a bound token as a bearer token, with or without a proof', async () => {
    const description = 'The access token is bound to a key and cannot be used as a bearer token';
    for (const headers of [bearer(token), { ...bearer(token), dpop: await proof() }]) {
      const { status, challenges } = await api.ask({ headers });
      assert.equal(status, 401);
      assert.deepEqual(challenges, [
        `Bearer realm="${AUDIENCE}", error="invalid_token", error_description="${description}", ${described}`,
        `DPoP realm="${AUDIENCE}", ${algs}, ${described}`,
      ]);
    }
  });

  it('The API refuses an unbound token with the DPoP scheme', async () => {
    token = await issuer.token();
    assertRefused(
      await send(await proof()),
      'invalid_token',
      'The access token is not bound to a key, as it must be here',
    );
  });

  it('The API refuses a token whose confirmation claim it does not know or cannot read', async () => {
    const jkt = await calculateJwkThumbprint(holder.jwk);
    for (const cnf of [{ jwk: holder.jwk }, { jkt, kid: 'y' }, {}, 'jkt', null, { jkt: 7 }]) {
      for (const scheme of ['DPoP', 'Bearer']) {
        token = await issuer.token({ cnf });
        const headers = { authorization: `${scheme} ${token}`, dpop: await proof() };
        assert.equal((await api.ask({ headers })).status, 401, JSON.stringify(cnf));
      }
    }
  });

  describe('An API that requires DPoP', () => {
    it('The API offers only the DPoP challenge and refuses bearer tokens', async () => {
      await using strict = await startApi(issuer, { dpop: { required: true } });
      const nothing = await strict.ask({});
      assert.deepEqual(nothing.challenges, [`DPoP realm="${AUDIENCE}", ${algs}, ${described}`]);
      const answer = await strict.ask({ headers: bearer(await issuer.token()) });
      assert.deepEqual([answer.status, answer.challenges], [401, nothing.challenges]);
      assert.equal(
        (await strict.ask({ headers: { authorization: `DPoP ${token}`, dpop: await proof() } })).status,
        200,
      );
      await assert.rejects(strict.verifier.verify(await issuer.token()), { code: 'invalid_token', fault: 'unbound' });
    });
  });

  describe('An API that requires nonces', () => {
    let at: number;
    beforeEach(() => {
      at = NOW;
    });

    async function startWithNonces(dpop: VerifierOptions['dpop'] = {}): Promise<string> {
      await api.close();
      api = await startApi(issuer, { dpop: { nonces: true, ...dpop }, currentDate: () => new Date(at * 1000) });
      const { headers } = await send(await proof());
      return String(headers['dpop-nonce']);
    }

    it('The API demands a nonce as in RFC 9449 and accepts a proof with that nonce', async () => {
      await startWithNonces();
      const asked = await send(await proof());
      assertRefused(asked, 'use_dpop_nonce', 'The DPoP proof must hold the nonce that comes with this answer');
      const nonce = asked.headers['dpop-nonce'];
      const answer = await send(await proof({ nonce }));
      assert.deepEqual([answer.status, answer.headers['dpop-nonce']], [200, undefined]);
    });

    it('The API judges a proof by its nonce and not by the client’s clock', async () => {
      const nonce = await startWithNonces();
      assert.equal((await send(await proof({ nonce, iat: 1 }))).status, 200);
    });

    it('The API issues the next nonce in time and refuses the one before the previous one', async () => {
      const nonce = await startWithNonces();
      at += 60;
      const late = await send(await proof({ nonce }));
      assert.equal(late.status, 200);
      const next = late.headers['dpop-nonce'];
      assert.ok(typeof next === 'string' && next !== nonce);
      at += 60;
      assert.equal((await send(await proof({ nonce }))).status, 401);
      assert.equal((await send(await proof({ nonce: next }))).status, 200);
    });

    it('The API refuses made-up and foreign nonces, but accepts those of its other processes', async () => {
      const nonceSecret = new Uint8Array(32).fill(7);
      const own = await startWithNonces({ nonceSecret });
      const other = await startWithNonces();
      for (const nonce of [own, 'x', '', 7, null]) {
        assert.equal((await send(await proof({ nonce }))).status, 401, String(nonce));
      }
      assert.equal((await send(await proof({ nonce: other }))).status, 200);
      await startWithNonces({ nonceSecret });
      assert.equal((await send(await proof({ nonce: own }))).status, 200);
    });
  });

  describe('An API with a shared memory for used proofs', () => {
    it('A proof that one process accepted is refused by the others', async () => {
      const used = new Set<string>();
      const claim = async (key: string, jti: string): Promise<boolean> => {
        const isFirst = !used.has(key + jti);
        used.add(key + jti);
        return isFirst;
      };
      await using one = await startApi(issuer, { dpop: { replays: { claim } } });
      await using other = await startApi(issuer, { dpop: { replays: { claim } } });
      const headers = { authorization: `DPoP ${token}`, dpop: await proof() };
      assert.equal((await one.ask({ headers })).status, 200);
      assert.equal((await other.ask({ headers })).status, 401);
    });

    it('The API answers 503 if the shared memory fails', async () => {
      const claim = (): Promise<boolean> => Promise.reject(new Error('away'));
      await using blind = await startApi(issuer, { dpop: { replays: { claim } } });
      const answer = await blind.ask({ headers: { authorization: `DPoP ${token}`, dpop: await proof() } });
      assert.deepEqual([answer.status, answer.challenges], [503, []]);
      const description = 'The server cannot check whether the DPoP proof was used before';
      assert.deepEqual(JSON.parse(answer.body), { error: 'temporarily_unavailable', error_description: description });
    });
  });
});
