import assert from 'node:assert/strict';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { Browser, type Page } from '../support/browser.ts';
import {
  ALICE,
  authorizationRequest,
  answerAtOnce,
  exchangeCode,
  refresh,
  signIn,
  tokenRequest,
  tokensFor,
  type AuthorizationRequest,
} from '../support/flows.ts';
import { apiOf } from '../support/tokens.ts';

const WEB = 'demo-web:demo-web-secret';
export const NEW_PERSON = {
  name: 'Quirinius Newcomer',
  email: 'newcomer@post.example.com',
  password: 'a "quoted" päss phrase/+ of mine',
};
const WRONG_PASSWORD = 'almost-latchkey-demo';

/** A machine client that is in the store and not in the configuration; its access tokens are opaque. */
export const STORED_CLIENT = { id: 'stored-machine', secret: 'the-secret-of-the-stored-client' };

/** Everything that people and clients do at a server, and everything that can be left half done. */
export async function runAllFlows(issuer: string): Promise<void> {
  await signUp(issuer);
  await useTokens(issuer);
  await signOnSilently(issuer);
  await usePushedRequests(issuer);
  await useMachineClients(issuer);
  await useProofOfPossession(issuer);
  await tryInVain(issuer);
  await signOut(issuer);
  await leaveHalfDone(issuer);
}

async function signUp(issuer: string): Promise<void> {
  const browser = new Browser();
  const request = authorizationRequest(issuer);
  const page = await browser.visit(request.url);
  const link = /href="([^"]*\/sign-up)"/.exec(page.html)?.[1] ?? '';
  const form = await browser.visit(new URL(link, issuer).href);
  const callback = await browser.submit(form, NEW_PERSON, request.redirectUri);
  assert.equal((await exchangeCode(issuer, request, new URL(callback.url))).status, 200);
}

/** Remembered, with an opaque access token; every refresh token is used, one of them again, and so is the code. */
async function useTokens(issuer: string): Promise<void> {
  const browser = new Browser();
  const request = authorizationRequest(issuer, 'demo-notes', { scope: 'openid profile email roles offline_access' });
  const callback = await signIn(browser, request, { ...ALICE, remember: 'yes' });
  const { body } = await exchangeCode(issuer, request, callback);
  await userinfo(issuer, `Bearer ${String(body['access_token'])}`);
  let token = String(body['refresh_token']);
  for (let turn = 0; turn < 4; turn += 1) {
    const answer = await refresh(issuer, token);
    assert.equal(answer.status, 200);
    // What it was answered with is still in the store.
    if (turn === 3) assert.deepEqual((await refresh(issuer, token)).body, answer.body);
    token = String(answer.body['refresh_token']);
  }
  const other = await tokensFor(issuer, { browser });
  await ask(issuer, '/revoke', { token: other['refresh_token'] ?? '', client_id: 'demo-notes' });
  const again = await exchangeCode(issuer, request, callback);
  assert.equal(again.status, 400);
}

async function signOnSilently(issuer: string): Promise<void> {
  const browser = new Browser();
  await tokensFor(issuer, { browser, parameters: { scope: 'openid notes:read', resource: apiOf(issuer) } });
  const silent = authorizationRequest(issuer, 'demo-photos', { prompt: 'none' });
  assert.ok('code' in (await answerAtOnce(browser, silent)));
}

async function usePushedRequests(issuer: string): Promise<void> {
  const browser = new Browser();
  const request = authorizationRequest(issuer, 'demo-web', {
    scope: 'openid profile offline_access',
    prompt: 'consent',
  });
  const callback = await signIn(browser, await push(issuer, request));
  const { status, body } = await exchangeCode(issuer, request, callback);
  assert.equal(status, 200);
  for (const name of ['access_token', 'refresh_token']) {
    const { active } = await ask(issuer, '/introspect', { token: String(body[name]) }, WEB);
    assert.equal(active, true);
  }
  await push(issuer, authorizationRequest(issuer, 'demo-web'));
}

async function push(issuer: string, request: AuthorizationRequest): Promise<AuthorizationRequest> {
  const parameters = Object.fromEntries(new URL(request.url).searchParams);
  const { request_uri: uri } = await ask(issuer, '/par', parameters, WEB);
  const url = new URL('/authorize', issuer);
  url.search = new URLSearchParams({ client_id: 'demo-web', request_uri: String(uri) }).toString();
  return { ...request, url: url.href };
}

async function useMachineClients(issuer: string): Promise<void> {
  const grant = { grant_type: 'client_credentials' };
  const byHeader = await tokenRequest(issuer, grant, 'demo-service:demo-service-secret');
  assert.equal(byHeader.status, 200);
  const opaque = await tokenRequest(issuer, grant, `${STORED_CLIENT.id}:${STORED_CLIENT.secret}`);
  assert.equal(opaque.status, 200, JSON.stringify(opaque.body));
  const { active } = await ask(issuer, '/introspect', { token: String(opaque.body['access_token']) }, WEB);
  assert.equal(active, true);
}

async function useProofOfPossession(issuer: string): Promise<void> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = await exportJWK(publicKey);
  const proof = (path: string): Promise<string> => dpopProof({ privateKey, jwk }, new URL(path, issuer).href);
  const request = authorizationRequest(issuer, 'demo-notes', { dpop_jkt: await calculateJwkThumbprint(jwk) });
  const callback = await signIn(new Browser(), request);
  const response = await fetch(new URL('/token', issuer), {
    method: 'POST',
    headers: { DPoP: await proof('/token') },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: request.clientId,
      code: callback.searchParams.get('code') ?? '',
      redirect_uri: request.redirectUri,
      code_verifier: request.verifier,
    }),
  });
  const body = (await response.json()) as Record<string, unknown>;
  assert.equal(body['token_type'], 'DPoP', JSON.stringify(body));
}

async function dpopProof(key: { privateKey: CryptoKey; jwk: JWK }, htu: string): Promise<string> {
  return new SignJWT({ htm: 'POST', htu, jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: key.jwk })
    .setIssuedAt()
    .sign(key.privateKey);
}

async function tryInVain(issuer: string): Promise<void> {
  const browser = new Browser();
  const page = await browser.visit(authorizationRequest(issuer).url);
  assert.equal((await browser.submit(page, { ...ALICE, password: WRONG_PASSWORD })).status, 401);
  assert.equal((await browser.submit(page, { ...ALICE, csrf: 'a-token-of-my-own-making' })).status, 403);
  const wrong = 'demo-web:another-secret-than-the-right-one';
  assert.equal((await tokenRequest(issuer, { grant_type: 'client_credentials' }, wrong)).status, 401);
  assert.equal((await refresh(issuer, 'a-refresh-token-that-never-was')).status, 400);
}

/** Once by an ID token, and once up to the question whether to. */
async function signOut(issuer: string): Promise<void> {
  const browser = new Browser();
  const { id_token: hint = '' } = await tokensFor(issuer, { browser });
  const url = new URL('/logout', issuer);
  url.search = new URLSearchParams({ id_token_hint: hint, state: 'the-state-of-a-logout' }).toString();
  await browser.visit(url.href);
  const asked = new Browser();
  await tokensFor(issuer, { browser: asked });
  const question = await asked.visit(
    new URL('/logout?client_id=demo-notes&state=another-state-of-a-logout', issuer).href,
  );
  assert.match(question.html, /name="xsrf"/);
}

/** A sign-in page, a consent page and a code that nobody goes on from. */
async function leaveHalfDone(issuer: string): Promise<void> {
  await new Browser().visit(authorizationRequest(issuer).url);
  const browser = new Browser();
  await signIn(browser, authorizationRequest(issuer));
  const consent: Page = await browser.visit(authorizationRequest(issuer, 'demo-web', { prompt: 'consent' }).url);
  assert.match(consent.html, /value="allow"/);
}

async function userinfo(issuer: string, authorization: string): Promise<void> {
  const response = await fetch(new URL('/userinfo', issuer), { headers: { authorization } });
  assert.equal(response.status, 200, await response.text());
}

async function ask(
  issuer: string,
  path: string,
  parameters: Record<string, string>,
  basic?: string,
): Promise<Record<string, unknown>> {
  const response = await fetch(new URL(path, issuer), {
    method: 'POST',
    headers: basic === undefined ? {} : { authorization: `Basic ${Buffer.from(basic).toString('base64')}` },
    body: new URLSearchParams(parameters),
  });
  const text = await response.text();
  assert.ok(response.ok, `${path}: ${response.status} ${text}`);
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}
