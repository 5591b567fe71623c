import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { chmod, cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeProtectedHeader } from 'jose';
import { storedKeys } from '../../src/domain/key-ring.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openStores } from '../../src/storage/open-stores.ts';
import { openToAll, send } from '../registration/registering.ts';
import { basic, post } from '../oidc/engine-probes/probe.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import {
  ALICE,
  answerAtOnce,
  authorizationRequest,
  refresh,
  signIn,
  tokenRequest,
  tokensFor,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

const WRITTEN = join(import.meta.dirname, 'older-store');

type Cookies = readonly (readonly [string, { value: string; path: string }])[];
type Tokens = Record<'used' | 'live' | 'accessToken', string>;

/** What clients and people held of the older server at the moment at which its store was copied. */
interface Held {
  issuer: string;
  /** In milliseconds since the epoch. */
  made: number;
  kids: string[];
  owner: { email: string; password: string };
  accountOfOwner: string;
  session: { cookies: Cookies; idToken: string };
  leftSession: { cookies: Cookies };
  refreshed: Tokens;
  replayed: Tokens;
  revoked: Record<'refreshToken' | 'accessToken', string>;
  opaque: string;
  code: { value: string; verifier: string; redirectUri: string };
  registered: Record<'client_id' | 'client_secret' | 'registration_access_token' | 'registration_client_uri', string>;
  machine: string;
}

/** Seconds after the copy in which all of it is still alive. */
const SOON = 5;
/** Seconds in which an answer may be fetched again, and more. */
const LATER = 400;

describe('A store from the server of commit 02537bb', () => {
  let held: Held;
  let directory: string;
  let server: TestServer;

  beforeEach(async () => {
    held = JSON.parse(await readFile(join(WRITTEN, 'held.json'), 'utf8')) as Held;
    directory = await mkdtemp(join(tmpdir(), 'latchkey-older-'));
    await cp(WRITTEN, directory, { recursive: true });
    // A checkout makes files that others may read.
    await chmod(join(directory, 'master.key'), 0o600);
    travel((held.made - Date.now()) / 1000 + SOON);
    server = await startTestServer({ sameAs: { directory, issuer: held.issuer }, change: openToAll() });
  });
  afterEach(async () => {
    returnToPresent();
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });

  /**
   * A browser with a session's cookie. Without TLS the cookie has another name today, and its signature is for the name;
   * with TLS it is the one that the browser has.
   */
  async function browserWith(cookies: Cookies): Promise<Browser> {
    const { value = '' } = new Map(cookies).get('session') ?? {};
    const stores = await openStores(server.config.stores, systemClock);
    try {
      const { cookieKeys } = await storedKeys({ config: server.config, stores, random: systemRandom });
      const signature = createHmac('sha1', cookieKeys[0] ?? '')
        .update(`latchkey_session=${value}`)
        .digest('base64url');
      const browser = new Browser();
      browser.cookies.set('latchkey_session', { value, path: '/' });
      browser.cookies.set('latchkey_session.sig', { value: signature, path: '/' });
      return browser;
    } finally {
      await stores.close();
    }
  }

  const silently = (browser: Browser): Promise<Record<string, string>> =>
    answerAtOnce(browser, authorizationRequest(held.issuer, 'demo-notes', { prompt: 'none' }));

  async function introspected(token: string): Promise<unknown> {
    return (await post(held, '/introspect', { token }, basic('demo-web', 'demo-web-secret'))).body['active'];
  }

  it('The server keeps the sessions of the older store, and ended sessions stay ended', async () => {
    const browser = await browserWith(held.session.cookies);
    assert.match((await silently(browser))['code'] ?? '', /./);
    assert.equal((await silently(await browserWith(held.leftSession.cookies)))['error'], 'login_required');
    const page = await browser.visit(`${held.issuer}/logout?id_token_hint=${held.session.idToken}`);
    assert.match(page.html, /You are signed out/);
    assert.equal((await silently(await browserWith(held.session.cookies)))['error'], 'login_required');
  });

  it('The server keeps the signing keys of the older store, and accepts the JWTs that they signed', async () => {
    const { keys } = (await (await fetch(`${held.issuer}/jwks`)).json()) as { keys: { kid: string }[] };
    const now = keys.map(({ kid }) => kid);
    assert.deepEqual(
      held.kids.filter((kid) => !now.includes(kid)),
      [],
    );
    const { claims } = await verified(held.issuer, held.refreshed.accessToken, apiOf(held.issuer));
    assert.deepEqual([claims['client_id'], claims['scope']], ['demo-notes', 'notes:read']);
    const { id_token: idToken = '' } = await tokensFor(held.issuer);
    assert.ok(held.kids.includes(decodeProtectedHeader(idToken).kid ?? ''));
  });

  it('The server accepts the older store’s access tokens, except the revoked ones', async () => {
    const { refreshed, machine, revoked, opaque } = held;
    for (const token of [refreshed.accessToken, machine, opaque]) assert.equal(await introspected(token), true, token);
    assert.equal(await introspected(revoked.accessToken), false);
    const response = await fetch(`${held.issuer}/userinfo`, { headers: { authorization: `Bearer ${opaque}` } });
    assert.equal(((await response.json()) as { email: string }).email, ALICE.email);
  });

  it('The server accepts the older store’s refresh tokens, except the revoked ones', async () => {
    const { status, body } = await refresh(held.issuer, held.refreshed.live);
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal((await refresh(held.issuer, String(body['refresh_token']))).status, 200);
    assert.equal((await refresh(held.issuer, held.revoked.refreshToken)).status, 400);
  });

  it('The server detects the replay of an older store’s refresh token, and revokes the family', async () => {
    const photos = { client_id: 'demo-photos' };
    travel(LATER);
    assert.equal((await refresh(held.issuer, held.replayed.used, photos)).status, 400);
    assert.equal((await refresh(held.issuer, held.replayed.live, photos)).status, 400);
    assert.equal(await introspected(held.replayed.accessToken), false);
    assert.equal(await introspected(held.refreshed.accessToken), true, 'another family');
  });

  it('The server exchanges a code of the older store once', async () => {
    const { value: code, verifier: code_verifier, redirectUri: redirect_uri } = held.code;
    const parameters = { grant_type: 'authorization_code', client_id: 'demo-notes', code, code_verifier, redirect_uri };
    assert.equal((await tokenRequest(held.issuer, parameters)).status, 200);
    assert.equal((await tokenRequest(held.issuer, parameters)).status, 400);
  });

  it('The server keeps the accounts of the older store with their passwords', async () => {
    const request = authorizationRequest(held.issuer);
    const answer = await signIn(new Browser(), request, held.owner);
    assert.match(answer.searchParams.get('code') ?? '', /./);
    const stranger = new Browser();
    const page = await stranger.visit(request.url);
    const refused = await stranger.submit(page, { ...held.owner, password: 'the long phrase of oleg' });
    assert.match(refused.html, /type="password"/);
  });

  it('The server keeps the older store’s clients, including registered and disabled ones', async () => {
    const ask = (client: string) =>
      tokenRequest(held.issuer, { grant_type: 'client_credentials' }, `${client}:demo-service-secret`);
    assert.equal((await ask('stored-service')).status, 200);
    assert.deepEqual((await ask('disabled-service')).body['error'], 'invalid_client');
    const { client_id: id, client_secret: secret, registration_access_token: token } = held.registered;
    const read = await send(held.registered.registration_client_uri, { method: 'GET', token });
    assert.deepEqual([read.status, read.body['client_id']], [200, id]);
    const code = { grant_type: 'authorization_code', code: 'made-up', redirect_uri: 'https://app.example/callback' };
    assert.equal((await tokenRequest(held.issuer, code, `${id}:${secret}`)).body['error'], 'invalid_grant');
    assert.equal((await tokenRequest(held.issuer, code, `${id}:wrong`)).body['error'], 'invalid_client');
  });
});
