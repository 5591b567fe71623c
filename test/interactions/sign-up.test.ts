import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { Browser, type Page } from '../support/browser.ts';
import { answerAtOnce, authorizationRequest, exchangeCode, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const BOB = { name: 'Bob <i>Builder</i>', email: 'Bob@Example.com', password: 'a few words in a row' };

describe('Signing up', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer({ hashesSlowly: true });
  });
  afterEach(() => server.close());

  async function open(browser = new Browser()) {
    const request = authorizationRequest(server.issuer, 'demo-notes', { scope: 'openid profile email roles' });
    const page = await browser.visit(`${(await browser.visit(request.url)).url}/sign-up`);
    const submit = (person: Record<string, string>): Promise<Page> => browser.submit(page, person, request.redirectUri);
    return { browser, request, page, submit };
  }

  it('The sign-up creates an account with the default role and continues to the app signed in', async () => {
    const { browser, request, submit } = await open();
    const back = await submit(BOB);
    const { body } = await exchangeCode(server.issuer, request, new URL(back.url));
    const { name, email, email_verified, roles } = decodeJwt(String(body['id_token']));
    assert.deepEqual([name, email, email_verified, roles], [BOB.name, 'bob@example.com', undefined, ['user']]);
    assert.ok('code' in (await answerAtOnce(browser, authorizationRequest(server.issuer, 'demo-photos'))));
    const again = await tokensFor(server.issuer, { person: { email: 'bob@example.com', password: BOB.password } });
    assert.equal(decodeJwt(again['id_token'] ?? '').sub, decodeJwt(String(body['id_token'])).sub);
  });

  it('The sign-up page shows the error of each field, and keeps everything but the password', async () => {
    const { submit } = await open();
    const page = await submit({ name: '', email: 'alice@example.com', password: 'short' });
    assert.equal(page.status, 422);
    assert.match(page.html, /Enter your name/);
    assert.match(page.html, /Use at least 12 characters/);
    assert.match(page.html, /value="alice@example\.com"/);
    assert.doesNotMatch(page.html, /value="short"/);
  });

  it('The sign-up refuses an email address that already has an account', async () => {
    const { submit } = await open();
    const page = await submit({ ...BOB, email: ' ALICE@example.com ' });
    assert.equal(page.status, 422);
    assert.match(page.html, /already has an account/);
    await tokensFor(server.issuer);
  });

  it('Only one of several simultaneous sign-ups receives an email address', async () => {
    const forms = [await open(), await open(), await open()];
    const answers = await Promise.all(forms.map(({ submit }) => submit(BOB)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [303, 422, 422]);
  });

  it('The sign-up ignores roles and other unexpected form fields', async () => {
    const { request, submit } = await open();
    const back = await submit({ ...BOB, roles: 'admin', id: 'acc_0', email_verified: 'true' });
    const { body } = await exchangeCode(server.issuer, request, new URL(back.url));
    const { roles, sub, email_verified } = decodeJwt(String(body['id_token']));
    assert.deepEqual([roles, email_verified], [['user'], undefined]);
    assert.notEqual(sub, 'acc_0');
  });

  it('The sign-up page and its link do not exist if the operator disables sign-up', async () => {
    await server.close();
    server = await startTestServer({
      change: (config) => ({ ...config, sign_up: { ...config.sign_up, enabled: false } }),
    });
    const browser = new Browser();
    const signIn = await browser.visit(authorizationRequest(server.issuer).url);
    assert.doesNotMatch(signIn.html, /sign-up/);
    assert.equal((await browser.visit(`${signIn.url}/sign-up`)).status, 404);
    const csrf = /name="csrf" value="([^"]+)"/.exec(signIn.html)?.[1] ?? '';
    const body = new URLSearchParams({ ...BOB, csrf });
    assert.equal((await browser.request(`${signIn.url}/sign-up`, { method: 'POST', body })).status, 404);
  });
});
