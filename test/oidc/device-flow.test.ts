import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { Browser, formOf } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { enterCode, letIn, poll, startDevice, withTelevision } from '../support/device.ts';
import { ADMIN, ALICE, refresh } from '../support/flows.ts';
import { withoutOwnScript } from '../support/own-script.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

describe('Device authorization (RFC 8628)', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withTelevision });
  });
  afterEach(returnToPresent);
  after(() => server.close());

  it('The device finds the endpoint in the metadata and receives codes, URLs, expiry and interval', async () => {
    const metadata = await fetch(`${server.issuer}/.well-known/oauth-authorization-server`);
    const { device_authorization_endpoint: endpoint } = (await metadata.json()) as Record<string, unknown>;
    assert.equal(endpoint, `${server.issuer}/device_authorization`);
    const { answer, userCode } = await startDevice(server.issuer);
    assert.match(userCode, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
    assert.deepEqual(answer, {
      device_code: answer['device_code'],
      user_code: userCode,
      verification_uri: `${server.issuer}/device`,
      verification_uri_complete: `${server.issuer}/device?user_code=${userCode}`,
      expires_in: 600,
      interval: 5,
    });
  });

  it('The device receives authorization_pending until a person approves it, and then its tokens', async () => {
    const device = await startDevice(server.issuer);
    const waiting = await poll(server.issuer, device);
    assert.deepEqual([waiting.status, waiting.body['error']], [400, 'authorization_pending']);
    await letIn(server.issuer, new Browser(), device);
    const { status, body } = await poll(server.issuer, device);
    assert.equal(status, 200, JSON.stringify(body));
    const { claims } = await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    assert.deepEqual([claims['client_id'], claims['scope'], claims['acr']], ['tv', 'notes:read', 'aal1']);
    assert.equal(claims.sub, decodeJwt(String(body['id_token'])).sub);
    const again = await refresh(server.issuer, String(body['refresh_token']), { client_id: 'tv' });
    assert.equal(again.status, 200);
  });

  it('The device stays signed in when the browser that approved it signs out', async () => {
    const [browser, device] = [new Browser(), await startDevice(server.issuer)];
    await letIn(server.issuer, browser, device);
    const { body } = await poll(server.issuer, device);
    await browser.submit(await browser.visit(`${server.issuer}/logout`), { logout: 'yes' });
    assert.match((await browser.visit(server.issuer)).html, /You are not signed in/);
    const again = await refresh(server.issuer, String(body['refresh_token']), { client_id: 'tv' });
    assert.equal(again.status, 200, JSON.stringify(again.body));
  });

  it('A confidential first-party device needs only the confirmation, and no consent', async () => {
    const [browser, device] = [new Browser(), await startDevice(server.issuer, 'box')];
    const confirm = await enterCode(server.issuer, browser, device.userCode);
    const done = await browser.submit(await browser.submit(confirm, { confirm: 'yes' }), { ...ALICE });
    assert.match(done.html, /Continue on your device/);
    assert.equal((await poll(server.issuer, device)).status, 200);
  });

  it('A device code works once, and its replay revokes the issued tokens', async () => {
    const device = await startDevice(server.issuer);
    await letIn(server.issuer, new Browser(), device);
    const answers = await Promise.all([1, 2, 3].map(() => poll(server.issuer, device)));
    const won = answers.filter(({ status }) => status === 200);
    assert.equal(won.length, 1);
    const lost = answers.filter(({ status }) => status !== 200);
    assert.deepEqual(
      lost.map(({ body }) => body['error']),
      ['invalid_grant', 'invalid_grant'],
    );
    assert.equal((await poll(server.issuer, device)).body['error'], 'invalid_grant');
    const family = await refresh(server.issuer, String(won[0]?.body['refresh_token']), { client_id: 'tv' });
    assert.equal(family.body['error'], 'invalid_grant');
  });

  it('The token endpoint refuses a device code that was issued to another client', async () => {
    const device = await startDevice(server.issuer);
    await letIn(server.issuer, new Browser(), device);
    assert.equal((await poll(server.issuer, device, 'radio')).body['error'], 'invalid_grant');
    assert.equal((await poll(server.issuer, device, 'demo-notes')).body['error'], 'unauthorized_client');
    assert.equal((await poll(server.issuer, device)).status, 200);
  });

  it('The device receives expired_token, and the person sees that the code has expired', async () => {
    const [browser, device] = [new Browser(), await startDevice(server.issuer)];
    const page = await browser.visit(`${server.issuer}/device`);
    travel(601);
    const { status, body } = await poll(server.issuer, device);
    assert.deepEqual([status, body['error']], [400, 'expired_token']);
    const refused = await browser.submit(page, { user_code: device.userCode });
    assert.match(refused.html, /This code has expired/);
    // The record outlives its code, and not for long.
    travel(600);
    assert.equal((await poll(server.issuer, device)).body['error'], 'invalid_grant');
  });

  it('The device receives access_denied if the person refuses the confirmation or cancels the sign-in', async () => {
    for (const refuse of ['at once', 'instead of a sign-in']) {
      const [browser, device] = [new Browser(), await startDevice(server.issuer)];
      let page = await enterCode(server.issuer, browser, device.userCode);
      if (refuse === 'at once') page = await browser.submit(page, { abort: 'yes' });
      else {
        page = await browser.submit(page, { confirm: 'yes' });
        page = await browser.visit(`${page.url}/cancel`);
      }
      assert.match(page.html, /The device was not connected/, refuse);
      const { status, body } = await poll(server.issuer, device);
      assert.deepEqual([status, body['error']], [400, 'access_denied'], refuse);
      assert.equal((await poll(server.issuer, device)).body['error'], 'invalid_grant');
    }
  });

  it('The device receives slow_down if it polls too often, and the interval grows by five seconds', async () => {
    const device = await startDevice(server.issuer);
    const errorAfter = async (seconds: number): Promise<unknown> => {
      travel(seconds);
      return (await poll(server.issuer, device)).body['error'];
    };
    assert.equal(await errorAfter(0), 'authorization_pending');
    assert.equal(await errorAfter(5), 'authorization_pending');
    assert.equal(await errorAfter(1), 'slow_down');
    assert.equal(await errorAfter(6), 'slow_down');
    assert.equal(await errorAfter(15), 'authorization_pending');
  });

  it('An approved device receives its tokens at once, even if it polls too early', async () => {
    const device = await startDevice(server.issuer);
    await poll(server.issuer, device);
    await letIn(server.issuer, new Browser(), device);
    assert.equal((await poll(server.issuer, device)).status, 200);
  });

  it('The device authorization endpoint refuses a client that is registered for other grant types', async () => {
    const response = await fetch(`${server.issuer}/device_authorization`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'demo-notes', scope: 'openid' }),
    });
    assert.equal(response.status, 400);
  });
});

describe('The device pages', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer({ change: withTelevision });
  });
  afterEach(async () => {
    returnToPresent();
    await server.close();
  });

  it('The device page accepts the user code in any spelling', async () => {
    const { userCode } = await startDevice(server.issuer);
    const bare = userCode.replace('-', '');
    for (const typed of [userCode.toLowerCase(), bare, ` ${bare.slice(0, 4)} ${bare.slice(4).toLowerCase()} `]) {
      const page = await enterCode(server.issuer, new Browser(), typed);
      assert.match(page.html, new RegExp(`>${userCode}<`), typed);
    }
  });

  it('The device confirmation page names the app, the scopes, the client address and the account', async () => {
    const browser = new Browser();
    await letIn(server.issuer, browser, await startDevice(server.issuer));
    const { userCode } = await startDevice(server.issuer);
    const { html } = await enterCode(server.issuer, browser, userCode);
    for (const text of [/Television/, /Read your notes/, /127\.0\.0\.1/, /your network/, /alice@/])
      assert.match(html, text);
    assert.match(html, /Did somebody send you this code/);
  });

  it('The verification_uri_complete opens the page with the code filled in, without a script', async () => {
    const device = await startDevice(server.issuer);
    const browser = new Browser();
    const page = await browser.visit(String(device.answer['verification_uri_complete']));
    assert.equal(page.status, 200);
    assert.doesNotMatch(withoutOwnScript(page.html), /<script/);
    assert.match(page.html, new RegExp(`value="${device.userCode}"`));
    const confirm = await browser.submit(page, { user_code: device.userCode });
    assert.match(confirm.html, /Does your device show this code\?/);
    assert.equal((await poll(server.issuer, device)).body['error'], 'authorization_pending');
  });

  it('A person who turned back can enter the user code again', async () => {
    const [browser, device] = [new Browser(), await startDevice(server.issuer)];
    const confirm = await enterCode(server.issuer, browser, device.userCode);
    assert.match((await browser.submit(confirm, { confirm: 'yes' })).html, /type="password"/);
    await letIn(server.issuer, browser, device);
    assert.equal((await poll(server.issuer, device)).status, 200);
  });

  it('The QR code endpoint draws the verification URL for any well-formed code, and nothing else', async () => {
    const picture = await fetch(`${server.issuer}/device/qr.svg?user_code=WDJB-MJHT`);
    assert.equal(picture.headers.get('content-type'), 'image/svg+xml');
    assert.match(await picture.text(), /^<svg /);
    for (const query of [
      '',
      '?user_code=',
      '?user_code=https://evil.example/',
      '?user_code=WDJB-MJHT&user_code=WDJB-MJHT',
    ])
      assert.equal((await fetch(`${server.issuer}/device/qr.svg${query}`)).status, 404, query);
  });

  it('The device page refuses a form without its token or from another browser', async () => {
    const device = await startDevice(server.issuer);
    const browser = new Browser();
    const confirm = await enterCode(server.issuer, browser, device.userCode);
    const { action, hidden } = formOf(confirm);
    const forged = { user_code: device.userCode, confirm: 'yes' };
    for (const [sender, body] of [
      [new Browser(), forged],
      [new Browser(), { ...hidden, ...forged }],
      [browser, forged],
      [browser, { ...forged, xsrf: 'x'.repeat(48) }],
    ] as const) {
      const page = await sender.visit(action, { method: 'POST', body: new URLSearchParams(body) });
      assert.match(page.html, /This page (is|was) out of date/);
      assert.ok(page.status >= 400 && page.status < 500);
    }
    assert.equal((await poll(server.issuer, device)).body['error'], 'authorization_pending');
  });

  it('The device page explains what to do if the browser sends no cookies', async () => {
    for (const path of ['/device', '/device/some-interaction']) {
      const page = await new Browser().visit(server.issuer + path, path === '/device' ? { method: 'POST' } : {});
      assert.equal(page.status, 400);
      assert.match(page.html, /in a browser that keeps cookies/);
    }
  });

  it('The first of two people who answer the same user code wins', async () => {
    const device = await startDevice(server.issuer);
    const [alice, mallory] = [new Browser(), new Browser()];
    const questions = [];
    for (const [browser, person] of [
      [alice, ALICE],
      [mallory, ADMIN],
    ] as const) {
      const confirm = await enterCode(server.issuer, browser, device.userCode);
      questions.push({ page: await browser.submit(confirm, { confirm: 'yes' }), person });
    }
    const [first, second] = questions;
    assert.ok(first !== undefined && second !== undefined);
    assert.match((await alice.submit(first.page, { ...first.person })).html, /Continue on your device/);
    const { body } = await poll(server.issuer, device);
    const late = await mallory.submit(second.page, { ...second.person });
    assert.doesNotMatch(late.html, /Continue on your device/);
    assert.equal((await poll(server.issuer, device)).body['error'], 'invalid_grant');
    assert.equal(decodeJwt(String(body['id_token']))['name'], 'Alice');
  });
});
