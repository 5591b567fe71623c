import assert from 'node:assert/strict';
import { Auth, type AuthConfig } from '@auth/core';
import { toFetchRequest, writeFetchResponse } from './fetch-server.ts';
import { ALICE } from '../support/flows.ts';
import { Browser } from '../support/browser.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { startWebApp, webClientAt, type WebApp } from './web-app.ts';

describe('Auth.js (@auth/core)', () => {
  let server: TestServer;
  let app: WebApp;

  before(async () => {
    const port = await freePort();
    const url = `http://localhost:${port}`;
    server = await startTestServer({
      change: webClientAt(`${url}/`, { redirect_uris: [`${url}/auth/callback/latchkey`], first_party: true }),
    });
    const config: AuthConfig = {
      basePath: '/auth',
      trustHost: true,
      secret: 'only-for-this-test',
      providers: [
        {
          id: 'latchkey',
          name: 'Latchkey',
          type: 'oidc',
          issuer: server.issuer,
          clientId: 'demo-web',
          clientSecret: 'demo-web-secret',
          checks: ['pkce', 'state', 'nonce'],
        },
      ],
      callbacks: {
        redirect: ({ baseUrl }) => `${baseUrl}/auth/session`,
      },
    };
    app = await startWebApp(port, (request, response) => {
      void toFetchRequest(url, request)
        .then((asked) => Auth(asked, config))
        .then((answer) => writeFetchResponse(answer, response));
    });
  });
  after(async () => {
    await app.close();
    await server.close();
  });

  it('Auth.js signs a person in with PKCE, state and nonce', async () => {
    const browser = new Browser();
    const choice = await browser.visit(`${app.url}/auth/signin`);
    const form = await browser.submit(choice, {});
    assert.ok(form.url.startsWith(server.issuer), `${form.url}:\n${form.html}`);
    const page = await browser.submit(form, { ...ALICE });
    const session = JSON.parse(page.html) as { user?: { name?: string; email?: string } };
    assert.deepEqual([session.user?.name, session.user?.email], ['Alice', ALICE.email]);
  });
});
