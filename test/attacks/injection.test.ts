import assert from 'node:assert/strict';
import { Browser, type Page } from '../support/browser.ts';
import { ALICE, authorizationRequest, signIn } from '../support/flows.ts';
import { withoutOwnScript } from '../support/own-script.ts';
import { requestOf, sendRaw } from '../support/raw-http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const SCRIPT = '"><script>alert(1)</script><img src=x onerror=alert(1)>\'';
const SPLIT = 'x\r\nX-Injected: 1\r\n\r\n<script>alert(1)</script>';

describe('Injection', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.map((client) => ({
          ...client,
          client_name: `${client.client_name} ${SCRIPT}`,
          ...(client.client_id === 'demo-web' && {
            client_uri: 'https://app.example/"><script>',
            tos_uri: 'https://app.example/?x=<script>alert(1)</script>',
          }),
        })),
      }),
    });
  });
  after(() => server.close());

  const start = (parameters: Record<string, string> = {}, client = 'demo-notes') =>
    authorizationRequest(server.issuer, client, parameters).url;

  function assertInert({ html }: Page): void {
    assert.match(html, /<!doctype html>/);
    assert.doesNotMatch(withoutOwnScript(html), /<script|<img src=x|javascript:/i);
  }

  describe('Markup injection', () => {
    const pages: Record<string, () => Promise<Page>> = {
      'a client’s name on the sign-in page': () => new Browser().visit(start()),
      'a login hint': () => new Browser().visit(start({ login_hint: SCRIPT })),
      'an email address that was typed': async () => {
        const browser = new Browser();
        return browser.submit(await browser.visit(start()), { email: SCRIPT, password: 'x' });
      },
      'a name that was typed': async () => {
        const browser = new Browser();
        const page = await browser.visit(`${(await browser.visit(start())).url}/sign-up`);
        return browser.submit(page, { name: SCRIPT, email: SCRIPT, password: 'x' });
      },
      'a client’s name and links on the consent page': async () => {
        const browser = new Browser();
        return browser.submit(await browser.visit(start({}, 'demo-web')), ALICE);
      },
      'a name of a person on the home page': async () => {
        const browser = new Browser();
        const page = await browser.visit(`${(await browser.visit(start())).url}/sign-up`);
        const person = { name: `Eve ${SCRIPT}`, email: 'eve@example.com', password: 'eleven geese in a row' };
        await browser.submit(page, person, authorizationRequest(server.issuer).redirectUri);
        const home = await browser.visit(server.issuer);
        assert.match(home.html, /eve@example\.com/);
        return home;
      },
      'the sign-out page': async () => {
        const browser = new Browser();
        await signIn(browser, authorizationRequest(server.issuer));
        const query = new URLSearchParams({ client_id: 'demo-notes', state: SCRIPT, logout_hint: SCRIPT });
        return browser.visit(`${server.issuer}/logout?${query.toString()}`);
      },
      'an unknown client': () => new Browser().visit(start({ client_id: SCRIPT })),
      'an unknown redirect URI': () => new Browser().visit(start({ redirect_uri: `https://evil.example/${SCRIPT}` })),
      'a state of a request that fails': () => new Browser().visit(start({ client_id: '', state: SCRIPT })),
      'an unknown path': () => new Browser().visit(`${server.issuer}/${SCRIPT}`),
    };
    for (const [name, show] of Object.entries(pages)) {
      it(`Markup in ${name} stays plain text`, async () => assertInert(await show()));
    }

    it('A form_post response shows the state as text and returns it unchanged', async () => {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(server.issuer));
      const { html } = await browser.visit(start({ response_mode: 'form_post', state: SCRIPT }));
      assert.match(html, /name="state" value="&quot;&gt;&lt;script&gt;/);
      assert.equal(html.match(/<script/g)?.length, 1);
    });
  });

  describe('Header injection', () => {
    it('A state with line breaks comes back as one parameter of one header', async () => {
      const browser = new Browser();
      const answers = [
        await browser.request(start({ prompt: 'none', state: SPLIT })),
        await browser.request(start({ scope: `openid ${SPLIT}`, prompt: 'none' })),
      ];
      await signIn(browser, authorizationRequest(server.issuer));
      answers.push(await browser.request(start({ state: SPLIT })));
      for (const answer of answers) {
        assert.equal(answer.headers.get('x-injected'), null);
        assert.ok((answer.headers.get('location') ?? '').startsWith('http://localhost'));
      }
      const location = new URL(answers[2]?.headers.get('location') ?? '');
      assert.equal(location.searchParams.get('state'), SPLIT);
      assert.ok(location.searchParams.has('code'));
    });

    it('The redirect after a posted request encodes the line breaks in the state', async () => {
      const answer = await fetch(`${server.issuer}/authorize`, {
        method: 'POST',
        body: new URLSearchParams({ state: SPLIT, client_id: 'demo-notes' }),
        redirect: 'manual',
      });
      assert.equal(answer.status, 303);
      assert.equal(answer.headers.get('x-injected'), null);
      const location = new URL(answer.headers.get('location') ?? '');
      assert.equal(location.origin + location.pathname, `${server.issuer}/authorize`);
      assert.equal(location.searchParams.get('state'), SPLIT);
    });
  });

  describe('Cache poisoning', () => {
    const UNKEYED = [
      'X-Forwarded-Host: evil.example',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Port: 1',
      'X-Forwarded-Prefix: /evil',
      'X-Original-URL: /evil',
      'X-Rewrite-URL: /evil',
      'X-HTTP-Method-Override: POST',
      'Forwarded: for=1.2.3.4;host=evil.example',
      'Origin: https://evil.example',
    ];
    for (const path of ['/jwks', '/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']) {
      it(`No header outside the cache key changes ${path}`, async () => {
        const host = `Host: ${new URL(server.issuer).host}`;
        const [plain, poisoned] = await Promise.all([
          sendRaw(server.port, requestOf(`GET ${path} HTTP/1.1`, [host])),
          sendRaw(server.port, requestOf(`GET ${path} HTTP/1.1`, [host, ...UNKEYED])),
        ]);
        assert.equal(poisoned.status, 200);
        assert.equal(poisoned.body, plain.body);
        const unchanging = (headers: ReadonlyMap<string, string>) => [...headers].filter(([name]) => name !== 'date');
        assert.deepEqual(unchanging(poisoned.headers), unchanging(plain.headers));
      });
    }
  });

  describe('Redirects to other addresses', () => {
    it('A posted request redirects to this server only', async () => {
      for (const path of ['/authorize', '/logout', '/authorize/', '/AUTHORIZE']) {
        const answer = await fetch(`${server.issuer}${path}?redirect=//evil.example`, {
          method: 'POST',
          body: new URLSearchParams({ a: '//evil.example' }),
          redirect: 'manual',
        });
        assert.equal(new URL(answer.headers.get('location') ?? '').origin, server.issuer, path);
      }
    });

    it('A posted request keeps the browser’s session and its repeated parameters', async () => {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(server.issuer));
      const request = authorizationRequest(server.issuer);
      const body = new URL(request.url).searchParams;
      const page = await browser.visit(`${server.issuer}/authorize`, { method: 'POST', body }, request.redirectUri);
      assert.ok(new URL(page.url).searchParams.has('code'), page.url);
      body.append('state', 'again');
      const twice = await browser.visit(`${server.issuer}/authorize`, { method: 'POST', body }, request.redirectUri);
      assert.match(twice.url, /error=invalid_request/);
    });

    it('The cancel link redirects to the client that asked, with the error and the state', async () => {
      const browser = new Browser();
      const page = await browser.visit(start({ state: 'mine' }));
      const { redirectUri } = authorizationRequest(server.issuer);
      const end = await browser.visit(`${page.url}/cancel?redirect_uri=https://evil.example/`, {}, redirectUri);
      const answer = new URL(end.url);
      assert.equal(answer.origin + answer.pathname, redirectUri);
      assert.deepEqual([answer.searchParams.get('error'), answer.searchParams.get('state')], ['access_denied', 'mine']);
    });
  });
});
