import assert from 'node:assert/strict';
import { openToAll, REDIRECT, register } from '../registration/registering.ts';
import { Browser, type Page } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { ALICE, authorizationRequest, exchangeCode, signIn, type AuthorizationRequest } from '../support/flows.ts';
import { withoutOwnScript } from '../support/own-script.ts';
import { clientKey, requestObject, withRequestObject, type ClientKey } from '../support/signed-request.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const TRAP = 'https://app.example/out';

describe('Redirects to a client that registered itself (RFC 9700 §4.11.2)', () => {
  let server: TestServer;
  let key: ClientKey;
  let clientId: string;
  before(async () => {
    server = await startTestServer({ change: openToAll() });
    key = await clientKey();
    clientId = await registered();
  });
  after(() => server.close());
  afterEach(returnToPresent);

  async function registered(): Promise<string> {
    const { status, body } = await register(server, {
      token_endpoint_auth_method: 'none',
      post_logout_redirect_uris: [TRAP],
      client_uri: 'https://app.example/',
      jwks: key.jwks,
    });
    assert.equal(status, 201, JSON.stringify(body));
    return String(body['client_id']);
  }

  const ask = (parameters: Record<string, string> = {}, client = clientId): AuthorizationRequest =>
    authorizationRequest(server.issuer, client, { redirect_uri: REDIRECT, ...parameters });

  async function signedIn(): Promise<Browser> {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer));
    return browser;
  }

  /** A page of this server that leads nowhere: no redirect, no refresh, no form and no script to another host. */
  async function assertLeadsNowhere(answer: Response, what: string): Promise<string> {
    const html = await answer.text();
    assert.deepEqual([answer.status, answer.headers.get('location')], [400, null], what);
    assert.equal(answer.headers.get('refresh'), null, what);
    assert.doesNotMatch(withoutOwnScript(html), /<script|<form|http-equiv="refresh"/i, what);
    return html;
  }

  const FAULTS: readonly Record<string, string>[] = [
    {},
    { response_type: 'id_token' },
    { response_type: 'x' },
    { response_mode: 'x' },
    { code_challenge_method: 'plain' },
    { code_challenge: '' },
    { max_age: '-1' },
    { scope: 'openid never-heard-of' },
    { resource: 'https://x.example' },
    { id_token_hint: 'x' },
    { claims: '{' },
    { request: 'x' },
    { acr_values: 'x' },
    { prompt: 'none login' },
  ];
  const MODES = ['', 'query', 'fragment', 'form_post', 'jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt'];

  it('A silent request redirects nobody to a self-registered client that the account never allowed, whatever the error', async () => {
    for (const browser of [new Browser(), await signedIn()]) {
      for (const fault of FAULTS) {
        for (const mode of MODES) {
          const parameters = { prompt: 'none', ...(mode !== '' && { response_mode: mode }), ...fault };
          await assertLeadsNowhere(await browser.request(ask(parameters).url), JSON.stringify(parameters));
        }
      }
    }
  });

  it('A request with repeated parameters redirects nobody to a self-registered client', async () => {
    const { url } = ask({ prompt: 'none' });
    for (const again of ['scope=openid', 'state=x', 'prompt=none', `client_id=${clientId}`])
      await assertLeadsNowhere(await new Browser().request(`${url}&${again}`), again);
  });

  it('Neither a pushed nor a signed silent request redirects anybody to a self-registered client', async () => {
    const silent = ask({ prompt: 'none' });
    const body = new URLSearchParams(new URL(silent.url).search);
    const pushed = await fetch(`${server.issuer}/par`, { method: 'POST', body });
    assert.equal(pushed.status, 201);
    const { request_uri: uri } = (await pushed.json()) as { request_uri: string };
    const query = new URLSearchParams({ client_id: clientId, request_uri: uri }).toString();
    const signed = withRequestObject(
      silent,
      await requestObject(silent, { key: key.privateKey, issuer: server.issuer }),
    );
    const beside = withRequestObject(silent, 'x', { redirect_uri: REDIRECT, response_type: 'code' });
    const addresses = [`${server.issuer}/authorize?${query}`, signed.url, beside.url];
    for (const url of addresses) await assertLeadsNowhere(await new Browser().request(url), url);
  });

  it('A posted silent request redirects nobody to a self-registered client', async () => {
    const body = new URLSearchParams(new URL(ask({ prompt: 'none' }).url).search);
    const page = await new Browser().visit(`${server.issuer}/authorize`, { method: 'POST', body }, REDIRECT);
    assert.deepEqual([page.status, new URL(page.url).origin], [400, server.issuer]);
  });

  it('The resume endpoint redirects nobody to any client without a pending request', async () => {
    const browsers = [new Browser(), await signedIn()];
    for (const request of [ask(), ask({ prompt: 'none' }), authorizationRequest(server.issuer)]) {
      for (const path of ['x', 'x/', 'X%2f', 'a'.repeat(43)]) {
        const url = request.url.replace('/authorize?', `/authorize/${path}?`);
        for (const browser of browsers) await assertLeadsNowhere(await browser.request(url), url);
        const capitals = url.replace('/authorize/', '/AUTHORIZE/');
        await assertLeadsNowhere(await new Browser().request(capitals), capitals);
      }
    }
  });

  it('A cancelled or declined request shows a page with a link instead of redirecting to a self-registered client', async () => {
    const browser = new Browser();
    const page = await browser.visit(ask({ state: 'a b' }).url);
    const cancelled = await browser.visit(`${page.url}/cancel`, {}, REDIRECT);
    const question = await browser.submit(await browser.visit(ask({ state: 'a b' }).url), { ...ALICE }, REDIRECT);
    const declined = await browser.submit(question, { decision: 'deny' }, REDIRECT);
    for (const { status, url, html } of [cancelled, declined]) {
      assert.deepEqual([status, new URL(url).origin], [400, server.issuer]);
      assert.match(html, /This app has not been reviewed/);
      const link = new URL((/href="(https:\/\/app\.example[^"]*)"/.exec(html)?.[1] ?? '').replaceAll('&amp;', '&'));
      assert.equal(link.origin + link.pathname, REDIRECT);
      assert.deepEqual(
        ['error', 'state', 'iss'].map((name) => link.searchParams.get(name)),
        ['access_denied', 'a b', server.issuer],
      );
    }
    // Nor does "back" lead there.
    for (const seconds of [0, 60]) {
      travel(seconds);
      for (const { url } of [page, question]) await assertLeadsNowhere(await browser.request(url), url);
    }
  });

  it('A self-registered client receives its errors by redirect once the account has allowed it something', async () => {
    const browser = new Browser();
    const own = await registered();
    const request = ask({ scope: 'openid' }, own);
    const { status } = await exchangeCode(server.issuer, request, await signIn(browser, request));
    assert.equal(status, 200);
    const answers: [Record<string, string>, string][] = [
      [{ prompt: 'none' }, 'consent_required'],
      [{ prompt: 'none', max_age: '-1' }, 'invalid_request'],
    ];
    for (const [parameters, error] of answers) {
      const page = await browser.visit(ask(parameters, own).url, {}, REDIRECT);
      const answer = new URL(page.url).searchParams;
      assert.deepEqual([answer.get('error'), answer.get('iss')], [error, server.issuer], page.html);
    }
    // There is no address of its own to send these to.
    for (const address of [undefined, '', 'https://evil.example/']) {
      const url = new URL(ask({}, own).url);
      url.searchParams.delete('redirect_uri');
      if (address !== undefined) url.searchParams.set('redirect_uri', address);
      await assertLeadsNowhere(await browser.request(url.href), `its address: ${address}`);
    }
    for (const again of [REDIRECT, 'https://evil.example/'])
      await assertLeadsNowhere(await browser.request(`${ask({}, own).url}&redirect_uri=${again}`), `twice: ${again}`);
    const posted = await browser.request(ask({ prompt: 'none', max_age: '-1', response_mode: 'form_post' }, own).url);
    assert.match(await posted.text(), new RegExp(`action="${REDIRECT}"[^]*name="error" value="invalid_request"`));
    const signed = await browser.visit(ask({ max_age: '-1', response_mode: 'fragment.jwt' }, own).url, {}, REDIRECT);
    assert.match(new URL(signed.url).hash, /^#response=[\w-]+\.[\w-]+\.[\w-]+$/);
    // The same request of another person.
    await assertLeadsNowhere(await new Browser().request(ask({ max_age: '-1' }, own).url), 'another person');
  });

  async function signOut(browser: Browser, client: string): Promise<Page> {
    const query = new URLSearchParams({ client_id: client, post_logout_redirect_uri: TRAP }).toString();
    const question = await browser.visit(`${server.issuer}/logout?${query}`, {}, TRAP);
    return question.html.includes('<form') ? browser.submit(question, { logout: 'yes' }, TRAP) : question;
  }

  it('A sign-out redirects nobody to a self-registered client that the account never allowed', async () => {
    for (const browser of [new Browser(), await signedIn()]) {
      const end = await signOut(browser, clientId);
      assert.equal(new URL(end.url).origin, server.issuer, end.url);
      assert.doesNotMatch(end.html, /app\.example/);
    }
    const named = await fetch(`${server.issuer}/logout/success?client_id=${clientId}`);
    assert.doesNotMatch(await named.text(), /app\.example/);
  });

  it('A sign-out redirects to a self-registered client that the account allowed', async () => {
    const browser = new Browser();
    const own = await registered();
    await signIn(browser, ask({}, own));
    assert.equal((await signOut(browser, own)).url, TRAP);
  });
});
