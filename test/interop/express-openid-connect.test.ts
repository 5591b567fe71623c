import assert from 'node:assert/strict';
import express from 'express';
import openidConnect from 'express-openid-connect';
import { Browser } from '../support/browser.ts';
import { ALICE } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { startWebApp, webClientAt, type WebApp } from './web-app.ts';

const { auth, requiresAuth } = openidConnect;

describe('express-openid-connect', () => {
  let server: TestServer;
  let app: WebApp;

  before(async () => {
    const port = await freePort();
    const baseURL = `http://localhost:${port}`;
    server = await startTestServer({
      change: webClientAt(baseURL, {
        redirect_uris: [`${baseURL}/callback`],
        backchannel_logout_uri: `${baseURL}/backchannel-logout`,
        first_party: true,
      }),
    });
    const site = express();
    site.use(
      auth({
        issuerBaseURL: server.issuer,
        baseURL,
        clientID: 'demo-web',
        clientSecret: 'demo-web-secret',
        secret: 'only-for-this-test-and-long-enough',
        authRequired: false,
        idpLogout: true,
        authorizationParams: { response_type: 'code', scope: 'openid profile email offline_access', prompt: 'consent' },
      }),
    );
    site.get('/me', requiresAuth(), async (request, response) => {
      const { oidc } = request;
      const before = oidc.accessToken?.access_token;
      const after = await oidc.accessToken?.refresh();
      response.json({ user: oidc.user, person: await oidc.fetchUserInfo(), refreshed: before !== after?.access_token });
    });
    site.get('/', (request, response) => void response.json({ isAuthenticated: request.oidc.isAuthenticated() }));
    app = await startWebApp(port, site);
  });
  after(async () => {
    await app.close();
    await server.close();
  });

  it('express-openid-connect signs a person in, refreshes, fetches userinfo and signs out everywhere', async () => {
    const browser = new Browser();
    const form = await browser.visit(`${app.url}/me`);
    assert.ok(form.url.startsWith(server.issuer), `${form.url}:\n${form.html}`);
    let page = await browser.submit(form, { ...ALICE });
    if (page.html.includes('value="allow"')) page = await browser.submit(page, { decision: 'allow' });
    assert.equal(page.status, 200, page.html);
    const { user, person, refreshed } = JSON.parse(page.html) as Record<string, Record<string, string>>;
    assert.deepEqual([user?.['email'], person?.['name'], refreshed], [ALICE.email, 'Alice', true]);

    const end = await browser.visit(`${app.url}/logout`);
    assert.deepEqual([end.url, end.html], [`${app.url}/`, '{"isAuthenticated":false}']);
    const again = await browser.visit(`${app.url}/me`);
    assert.match(again.html, /type="password"/);
  });
});
