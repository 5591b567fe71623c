import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { ADMIN, ALICE } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { startApache, type Apache } from './apache-process.ts';

describe('Apache with mod_auth_openidc', function () {
  this.timeout(60_000);
  let server: TestServer;
  let apache: Apache;
  let chromium: Browser;

  before(async () => {
    const port = await freePort();
    const callback = `http://localhost:${port}/secure/callback`;
    server = await startTestServer({
      change: (config) => ({
        ...config,
        outgoing: { allow: ['localhost'] },
        clients: config.clients.map((client) =>
          client.client_id === 'demo-web'
            ? {
                ...client,
                first_party: true,
                redirect_uris: [callback],
                post_logout_redirect_uris: [`http://localhost:${port}/`],
                backchannel_logout_uri: `${callback}?logout=backchannel`,
              }
            : client,
        ),
      }),
    });
    chromium = await launchChromium();
    apache = await startApache(port, [
      `OIDCProviderMetadataURL ${server.issuer}/.well-known/openid-configuration`,
      'OIDCClientID demo-web',
      'OIDCClientSecret demo-web-secret',
      `OIDCRedirectURI ${callback}`,
      'OIDCCryptoPassphrase only-for-this-test',
      'OIDCPKCEMethod S256',
      'OIDCScope "openid profile email"',
      'OIDCRemoteUserClaim email',
      'Header always set X-Person "expr=%{REMOTE_USER}"',
      '<Location /secure>',
      '  AuthType openid-connect',
      '  Require valid-user',
      '</Location>',
    ]);
  });
  after(async () => {
    await chromium.close();
    await apache.close();
    await server.close();
  });

  /** A browser of its own for each person. */
  async function inBrowser(work: (page: Page) => Promise<void>): Promise<void> {
    const context = await chromium.newContext();
    try {
      await work(await context.newPage());
    } finally {
      await context.close();
    }
  }

  async function signIn(page: Page, person = ALICE): Promise<void> {
    await page.goto(`${apache.url}/secure/`);
    await page.getByLabel('Email').fill(person.email);
    await page.getByLabel('Password').fill(person.password);
    const answer = page.waitForResponse((response) => response.url() === `${apache.url}/secure/` && response.ok());
    await page.getByRole('button', { name: 'Sign in' }).click();
    assert.equal((await answer).headers()['x-person'], person.email);
  }

  it('mod_auth_openidc signs people in, and gets their email address', async () => {
    for (const person of [ALICE, ADMIN]) await inBrowser((page) => signIn(page, person));
  });

  /** The server tells its apps after it has answered the person. */
  async function isSignedOut(page: Page): Promise<void> {
    for (let look = 0; look < 100; look += 1) {
      await page.goto(`${apache.url}/secure/`);
      if (page.url().startsWith(server.issuer)) return;
      await sleep(100);
    }
    assert.fail(`the session at Apache goes on: ${await page.content()}`);
  }

  it('The sign-out of mod_auth_openidc ends both its own session and the server’s', () =>
    inBrowser(async (page) => {
      await signIn(page);
      await page.goto(`${apache.url}/secure/callback?logout=${encodeURIComponent(`${apache.url}/`)}`);
      await page.getByText('the page at index').waitFor();
      await isSignedOut(page);
      await page.getByLabel('Password').waitFor();
    }));

  it('mod_auth_openidc ends its session when the person signs out at the server', () =>
    inBrowser(async (page) => {
      await signIn(page);
      await page.goto(`${server.issuer}/logout`);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByText('signed out').first().waitFor();
      await isSignedOut(page);
    }));
});
