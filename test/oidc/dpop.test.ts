import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { Browser } from '../support/browser.ts';
import { newHolder, proof, type Holder } from '../support/dpop.ts';
import { authorizationRequest, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

describe('DPoP', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer();
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());

  async function post(
    proofOf: string | undefined,
    parameters: Record<string, string>,
  ): Promise<{ status: number; body: Record<string, string> }> {
    const response = await fetch(`${server.issuer}/token`, {
      method: 'POST',
      headers: proofOf === undefined ? {} : { dpop: proofOf },
      body: new URLSearchParams({ client_id: 'demo-notes', ...parameters }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, string> };
  }

  const tokenProof = (holder: Holder, more: Record<string, string> = {}): Promise<string> =>
    proof(holder, { htm: 'POST', htu: `${server.issuer}/token`, ...more });

  async function boundTokens(holder: Holder, scope: string, withProof?: string): ReturnType<typeof post> {
    const request = authorizationRequest(server.issuer, 'demo-notes', { scope });
    const callback = await signIn(alice, request);
    return post(withProof ?? (await tokenProof(holder)), {
      grant_type: 'authorization_code',
      code: callback.searchParams.get('code') ?? '',
      redirect_uri: request.redirectUri,
      code_verifier: request.verifier,
    });
  }

  it('The access token is bound to the key of the DPoP proof', async () => {
    const holder = await newHolder();
    const { body } = await boundTokens(holder, 'openid notes:read');
    assert.equal(body['token_type'], 'DPoP');
    const { claims } = await verified(server.issuer, body['access_token'], apiOf(server.issuer));
    assert.deepEqual(claims['cnf'], { jkt: await calculateJwkThumbprint(holder.jwk) });
  });

  it('The refresh token of a public client works only with the key that it is bound to', async () => {
    const [holder, thief] = [await newHolder(), await newHolder()];
    const { body } = await boundTokens(holder, 'openid');
    const parameters = { grant_type: 'refresh_token', refresh_token: body['refresh_token'] ?? '' };
    for (const shown of [undefined, await tokenProof(thief)]) {
      const stolen = await post(shown, parameters);
      assert.deepEqual([stolen.status, stolen.body['error']], [400, 'invalid_grant']);
    }
    assert.equal((await post(await tokenProof(holder), parameters)).status, 200);
  });

  it('/userinfo refuses a bound token as a bearer token, and with the proof for another token', async () => {
    const holder = await newHolder();
    const { body } = await boundTokens(holder, 'openid');
    const token = body['access_token'] ?? '';
    const url = `${server.issuer}/userinfo`;
    const ask = async (headers: Record<string, string>): Promise<number> => (await fetch(url, { headers })).status;
    const hash = (text: string): string => createHash('sha256').update(text).digest('base64url');
    const shown = (ath: string): Promise<string> => proof(holder, { htm: 'GET', htu: url, ath });
    assert.equal(await ask({ authorization: `Bearer ${token}` }), 401);
    assert.equal(await ask({ authorization: `DPoP ${token}` }), 400);
    assert.equal(await ask({ authorization: `DPoP ${token}`, dpop: await shown(hash('another')) }), 401);
    assert.equal(await ask({ authorization: `DPoP ${token}`, dpop: await shown(hash(token)) }), 200);
  });

  it('A DPoP proof works once, even in simultaneous requests', async () => {
    const holder = await newHolder();
    const once = await tokenProof(holder);
    const answers = await Promise.all([1, 2, 3].map(() => boundTokens(holder, 'openid', once)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400, 400]);
  });

  it('The token endpoint refuses a DPoP proof for another URL or another method', async () => {
    const holder = await newHolder();
    for (const more of [{ htu: 'https://elsewhere.example/token' }, { htm: 'GET' }]) {
      const { status, body } = await boundTokens(holder, 'openid', await tokenProof(holder, more));
      assert.deepEqual([status, body['error']], [400, 'invalid_dpop_proof']);
    }
  });
});
