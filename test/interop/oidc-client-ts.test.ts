import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { ALICE } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { startWebApp, type WebApp } from './web-app.ts';

const LIBRARY = readFileSync('node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js');

/** What the app does in the browser, with the library alone; what it learnt stands in the title. */
function page(issuer: string, origin: string): string {
  const settings = {
    authority: issuer,
    client_id: 'demo-notes',
    redirect_uri: `${origin}/callback`,
    scope: 'openid email',
  };
  return `<!doctype html><title>waiting</title><script src="/library.js"></script><script>
    const manager = new oidc.UserManager({
      ...${JSON.stringify(settings)},
      dpop: { bind_authorization_code: true, store: new oidc.IndexedDbDPoPStore() },
    });
    async function who(user, nonce) {
      const url = '${issuer}/userinfo';
      const proof = await manager.dpopProof(url, user, 'GET', nonce);
      const answer = await fetch(url, { headers: { authorization: 'DPoP ' + user.access_token, dpop: proof } });
      const next = answer.headers.get('dpop-nonce');
      return answer.status === 401 && next && next !== nonce ? who(user, next) : answer.json();
    }
    async function run() {
      if (location.pathname !== '/callback') return manager.signinRedirect();
      const user = await manager.signinCallback();
      const renewed = await manager.signinSilent();
      const stolen = await fetch('${issuer}/userinfo', { headers: { authorization: 'Bearer ' + renewed.access_token } });
      document.title = JSON.stringify({
        type: renewed.token_type,
        isNew: renewed.access_token !== user.access_token,
        email: (await who(renewed)).email,
        stolen: stolen.status,
      });
    }
    run().catch((error) => { document.title = String(error); });
  </script>`;
}

describe('oidc-client-ts with DPoP, in Chromium', function () {
  this.timeout(60_000);
  let server: TestServer;
  let app: WebApp;
  let chromium: Browser;

  before(async () => {
    const port = await freePort();
    const origin = `http://localhost:${port}`;
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.map((client) =>
          client.client_id === 'demo-notes'
            ? { ...client, redirect_uris: [`${origin}/callback`], dpop_bound_access_tokens: true }
            : client,
        ),
      }),
    });
    app = await startWebApp(port, (request, response) => {
      const isLibrary = request.url === '/library.js';
      response.setHeader('content-type', isLibrary ? 'text/javascript' : 'text/html');
      response.end(isLibrary ? LIBRARY : page(server.issuer, origin));
    });
    chromium = await launchChromium();
  });
  after(async () => {
    await chromium.close();
    await app.close();
    await server.close();
  });

  async function learnt(tab: Page): Promise<unknown> {
    await tab.waitForFunction(`location.pathname === '/callback' && document.title !== 'waiting'`);
    const title = await tab.title();
    assert.ok(title.startsWith('{'), title);
    return JSON.parse(title);
  }

  it('oidc-client-ts uses DPoP for its sign-in, refresh and userinfo, and its token is useless without a proof', async () => {
    const tab = await chromium.newPage();
    await tab.goto(app.url);
    await tab.getByLabel('Email').fill(ALICE.email);
    await tab.getByLabel('Password').fill(ALICE.password);
    await tab.getByRole('button', { name: 'Sign in' }).click();
    assert.deepEqual(await learnt(tab), { type: 'DPoP', isNew: true, email: ALICE.email, stolen: 401 });
  });
});
