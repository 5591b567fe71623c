import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { Browser as Chromium } from 'playwright-core';
import { Browser, type Page } from '../support/browser.ts';
import { launchChromium } from '../support/chromium.ts';
import { ALICE, authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const originOf = (issuer: string, offset: number): string =>
  `http://localhost:${Number(new URL(issuer).port) + offset}`;

describe('Front-channel logout', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({
      change: (config) => ({
        ...config,
        sessions: { ...config.sessions, front_channel_logout: true },
        clients: config.clients.map((client) => {
          if (client.client_id === 'demo-notes')
            return {
              ...client,
              frontchannel_logout_uri: `${originOf(config.issuer, 1)}/logged-out?kept=1`,
              frontchannel_logout_session_required: true,
            };
          if (client.client_id !== 'demo-photos') return client;
          return { ...client, frontchannel_logout_uri: `${originOf(config.issuer, 2)}/logged-out` };
        }),
      }),
    });
  });
  after(() => server.close());

  /** Somebody signed in to some apps, with the last one's ID token. */
  async function signedIn(clients: string[]): Promise<{ browser: Browser; idToken: string }> {
    const browser = new Browser();
    let idToken = '';
    for (const clientId of clients) {
      const request = authorizationRequest(server.issuer, clientId);
      const { body } = await exchangeCode(server.issuer, request, await signIn(browser, request, ALICE));
      idToken = String(body['id_token']);
    }
    return { browser, idToken };
  }

  const logoutUrl = (parameters: Record<string, string> = {}): string =>
    `${server.issuer}/logout?${new URLSearchParams(parameters).toString()}`;

  const framesOf = ({ html }: Page): URL[] =>
    [...html.matchAll(/<iframe src="([^"]*)"/g)].map(([, src = '']) => new URL(src.replaceAll('&amp;', '&')));

  it('The signed-out page loads the logout URI of every app of the session, with iss and sid if the app requires them', async () => {
    const { browser, idToken } = await signedIn(['demo-photos', 'demo-web', 'demo-notes']);
    const page = await browser.visit(logoutUrl({ id_token_hint: idToken }));
    const [photos, notes] = framesOf(page).sort((a, b) => b.port.localeCompare(a.port));
    assert.equal(framesOf(page).length, 2);
    assert.equal(photos?.href, `${originOf(server.issuer, 2)}/logged-out`);
    assert.deepEqual(Object.fromEntries(notes?.searchParams ?? []), {
      kept: '1',
      iss: server.issuer,
      sid: decodeJwt(idToken)['sid'],
    });
  });

  it("The policy allows only frames of the session's apps, and the page continues to the post-logout URI", async () => {
    const { browser, idToken } = await signedIn(['demo-notes']);
    const back = `${originOf(server.issuer, 1)}/`;
    const page = await browser.visit(
      logoutUrl({ id_token_hint: idToken, post_logout_redirect_uri: back, state: 'a&b' }),
      {},
      back,
    );
    assert.equal(page.status, 200);
    const policy = page.response.headers.get('content-security-policy') ?? '';
    assert.match(policy, new RegExp(`;frame-src ${originOf(server.issuer, 1)}$`));
    assert.equal(page.response.headers.get('cache-control'), 'no-store');
    assert.equal(page.response.headers.get('refresh'), `3;url=${back}?state=a%26b`);
    assert.ok(page.html.includes(`href="${back}?state=a%26b"`));
  });

  it('The page with logout frames appears after a confirmed sign-out, and not if the person stays signed in', async () => {
    const { browser } = await signedIn(['demo-notes']);
    const question = await browser.visit(logoutUrl());
    const stayed = await browser.submit(question, {});
    assert.equal(framesOf(stayed).length, 0);
    const left = await browser.submit(await browser.visit(logoutUrl()), { logout: 'yes' });
    assert.equal(framesOf(left).length, 1);
  });

  it('The sign-out ends on the ordinary page if no app of the session has a logout URI', async () => {
    const { browser, idToken } = await signedIn(['demo-web']);
    const page = await browser.visit(logoutUrl({ id_token_hint: idToken }));
    assert.match(page.html, /You are signed out/);
  });

  it('The metadata advertises front-channel logout only if it is enabled', async () => {
    await using other = await startTestServer();
    const supported = async ({ issuer }: TestServer): Promise<unknown> => {
      const response = await fetch(`${issuer}/.well-known/openid-configuration`);
      return ((await response.json()) as Record<string, unknown>)['frontchannel_logout_supported'];
    };
    assert.deepEqual([await supported(server), await supported(other)], [true, undefined]);
  });

  describe('In Chromium', () => {
    let chromium: Chromium;
    before(async () => {
      chromium = await launchChromium();
    });
    after(() => chromium.close());

    it('The app receives the logout request in its frame, and the page then continues without a script', async () => {
      const { browser, idToken } = await signedIn(['demo-notes']);
      const context = await chromium.newContext({ javaScriptEnabled: false });
      await context.addCookies(
        [...browser.cookies].map(([name, { value, path }]) => ({ name, value, path, domain: 'localhost' })),
      );
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      const app = originOf(server.issuer, 1);
      let told = '';
      await page.route(`${app}/**`, async (route) => {
        if (route.request().url().includes('/logged-out')) told = route.request().url();
        await route.fulfill({ contentType: 'text/html', body: 'the app' });
      });
      await page.goto(logoutUrl({ id_token_hint: idToken, post_logout_redirect_uri: `${app}/` }));
      await page.waitForURL(`${app}/`);
      assert.match(told, /sid=/);
      assert.deepEqual(complaints, []);
      await context.close();
    });
  });
});
