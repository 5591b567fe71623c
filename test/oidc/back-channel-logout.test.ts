import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import type { Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { answerAtOnce, authorizationRequest, tokensFor } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { verified } from '../support/tokens.ts';
import { recordsOf } from './behind-the-server.ts';
import { startLogoutReceiver, type LogoutReceiver } from './logout-receiver.ts';

/** Longer than the server takes to look for what is due. */
const LOOKED = 1300;

describe('Back-channel logout', () => {
  let receiver: LogoutReceiver;
  let server: TestServer;
  beforeEach(async () => {
    receiver = await startLogoutReceiver();
  });
  afterEach(async () => {
    returnToPresent();
    await server.close();
    await receiver.close();
  });

  /** Both demo apps listen for the end of a session, where the operator lets the server call them. */
  const listening =
    (allow: string[]) =>
    (config: Config): Config => ({
      ...config,
      outgoing: { allow },
      clients: config.clients.map((client) =>
        client.type === 'machine' ? client : { ...client, backchannel_logout_uri: receiver.uri },
      ),
    });

  async function signInAndOut(): Promise<{ page: string; idToken: string }> {
    const browser = new Browser();
    const { id_token = '' } = await tokensFor(server.issuer, { browser });
    const page = await browser.visit(`${server.issuer}/logout?id_token_hint=${id_token}`);
    return { page: page.html, idToken: id_token };
  }

  it('The server sends a logout token for the session before it shows the signed-out page', async () => {
    server = await startTestServer({ change: listening([receiver.host]) });
    const { page, idToken } = await signInAndOut();
    assert.match(page, /You are signed out/);
    assert.deepEqual(
      receiver.received.map(({ type, body }) => [type, [...body.keys()]]),
      [['application/x-www-form-urlencoded', ['logout_token']]],
    );
    const token = receiver.received[0]?.body.get('logout_token') ?? '';
    const { header, claims } = await verified(server.issuer, token, 'demo-notes');
    assert.equal(header.typ, 'logout+jwt');
    const { sub, sid } = decodeJwt(idToken);
    assert.deepEqual([claims.sub, claims['sid'], claims['nonce']], [sub, sid, undefined]);
    assert.deepEqual(claims['events'], { 'http://schemas.openid.net/event/backchannel-logout': {} });
    assert.match(String(claims.jti), /./);
    assert.ok((claims.exp ?? 0) - (claims.iat ?? 0) <= 120);
  });

  it('Every app of the session receives a logout token with its own session id', async () => {
    server = await startTestServer({ change: listening([receiver.host]) });
    const browser = new Browser();
    const notes = await tokensFor(server.issuer, { browser });
    const photos = await tokensFor(server.issuer, { browser, clientId: 'demo-photos' });
    await browser.visit(`${server.issuer}/logout?id_token_hint=${String(notes['id_token'])}`);
    const told = receiver.received.map(({ body }) => decodeJwt(body.get('logout_token') ?? ''));
    const due = [notes, photos].map(({ id_token = '' }) => decodeJwt(id_token));
    const pairs = (tokens: typeof told): string[] =>
      tokens.map(({ aud, sid }) => `${String(aud)} ${String(sid)}`).sort();
    assert.deepEqual(pairs(told), pairs(due));
  });

  it('The session ends in every tab before the apps answer the logout token', async () => {
    server = await startTestServer({ change: listening([receiver.host]) });
    const browser = new Browser();
    const { id_token = '' } = await tokensFor(server.issuer, { browser });
    const otherTab = new Browser();
    for (const [name, cookie] of browser.cookies) otherTab.cookies.set(name, cookie);
    const release = receiver.hold();
    const signingOut = otherTab.visit(`${server.issuer}/logout?id_token_hint=${id_token}`);
    await receiver.whenReceived(1);
    const silently = authorizationRequest(server.issuer, 'demo-notes', { prompt: 'none' });
    assert.equal((await answerAtOnce(browser, silently))['error'], 'login_required');
    release();
    assert.match((await signingOut).html, /You are signed out/);
  });

  it('The server repeats a failed logout delivery until the app accepts it', async () => {
    server = await startTestServer({ change: listening([receiver.host]) });
    receiver.answerWith(500);
    const { page, idToken } = await signInAndOut();
    assert.match(page, /You are signed out/);
    assert.equal(receiver.received.length, 1);
    travel(3);
    await receiver.whenReceived(2);
    receiver.answerWith(200);
    travel(11);
    await receiver.whenReceived(3);
    travel(61);
    await sleep(LOOKED);
    assert.equal(receiver.received.length, 3);

    const tokens = receiver.received.map(({ body }) => body.get('logout_token') ?? '');
    assert.equal(new Set(tokens.map((token) => decodeJwt(token).jti)).size, 3);
    const { claims } = await verified(server.issuer, tokens[2] ?? '', 'demo-notes').catch(() =>
      assert.fail('stale token'),
    );
    assert.equal(claims['sid'], decodeJwt(idToken)['sid']);
  });

  it('A pending logout delivery is not sent to a new URI of the client', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'latchkey-logout-'));
    const sameAs = { directory, issuer: `http://localhost:${await freePort()}` };
    const moved = await startLogoutReceiver();
    const to =
      (uri: string) =>
      (config: Config): Config => ({
        ...listening([receiver.host, moved.host])(config),
        clients: listening([])(config).clients.map((one) => ({
          ...one,
          ...(one.backchannel_logout_uri !== undefined && { backchannel_logout_uri: uri }),
        })),
      });
    try {
      server = await startTestServer({ sameAs, change: to(receiver.uri) });
      receiver.answerWith(503);
      await signInAndOut();
      await server.close();
      server = await startTestServer({ sameAs, change: to(moved.uri) });
      travel(4);
      await sleep(LOOKED);
      travel(20);
      await sleep(LOOKED);
      assert.deepEqual(moved.received, []);
      assert.equal(receiver.received.length, 1);
      await signInAndOut();
      await moved.whenReceived(1);
    } finally {
      await moved.close();
      await rm(directory, { recursive: true, force: true });
    }
  });

  it('A failed logout delivery is repeated even if many others wait for unavailable apps', async () => {
    server = await startTestServer({ change: listening([receiver.host]) });
    const store = await recordsOf(server);
    const waiting = { client: 'demo-photos', account: 'a', sid: 's', attempts: 5, dueAt: Date.now() + 7_200_000 };
    // Written an hour ago, so that they stand before what comes now.
    const options = { ttl: 82_800, indexes: ['logout-deliveries'] };
    for (let count = 0; count < 150; count += 1) await store.create(`logout-delivery:${count}`, waiting, options);
    await store.close();
    receiver.answerWith(500);
    await signInAndOut();
    travel(3);
    await receiver.whenReceived(2);
  });

  it('A pending logout delivery survives a restart of the server', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'latchkey-logout-'));
    const sameAs = { directory, issuer: `http://localhost:${await freePort()}` };
    const change = listening([receiver.host]);
    try {
      server = await startTestServer({ sameAs, change });
      receiver.answerWith(503);
      await signInAndOut();
      await server.close();
      receiver.answerWith(200);
      server = await startTestServer({ sameAs, change });
      travel(3);
      await receiver.whenReceived(2);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  it('A listed host without a port receives logout tokens at any port', async () => {
    server = await startTestServer({ change: listening(['127.0.0.1']) });
    await signInAndOut();
    assert.equal(receiver.received.length, 1);
  });

  it('The server calls no unlisted loopback address, and still ends the session', async () => {
    server = await startTestServer({ change: listening([]) });
    const { page } = await signInAndOut();
    assert.match(page, /You are signed out/);
    assert.deepEqual(receiver.received, []);
    travel(3);
    await sleep(LOOKED);
    assert.deepEqual(receiver.received, []);
  });
});
