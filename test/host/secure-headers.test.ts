import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Browser, type Page } from '../support/browser.ts';
import { ALICE, authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { withoutOwnScript } from '../support/own-script.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

type Policy = ReadonlyMap<string, readonly string[]>;

function policyOf(response: Response): Policy {
  const header = response.headers.get('content-security-policy');
  assert.ok(header !== null, `no policy on ${response.url}`);
  const directives = header.split(';').map((directive) => directive.trim().split(' '));
  return new Map(directives.map(([name = '', ...sources]) => [name, sources]));
}

describe('Security headers', () => {
  let server: TestServer;
  let appOrigin: string;
  let pages: Record<string, () => Promise<Page>>;
  before(async () => {
    server = await startTestServer();
    appOrigin = new URL(authorizationRequest(server.issuer).redirectUri).origin;
    const signedIn = async (): Promise<Browser> => {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(server.issuer));
      return browser;
    };
    const demo = (parameters: Record<string, string> = {}, client = 'demo-notes') =>
      authorizationRequest(server.issuer, client, parameters).url;
    const signUp = async (): Promise<Page> => {
      const browser = new Browser();
      const page = await browser.visit(demo());
      return browser.visit(`${page.url}/sign-up`);
    };
    pages = {
      'the home page': () => new Browser().visit(server.issuer),
      'the sign-in page': () => new Browser().visit(demo()),
      'the sign-in page after a wrong password': async () => {
        const browser = new Browser();
        return browser.submit(await browser.visit(demo()), { ...ALICE, password: 'wrong wrong wrong' });
      },
      'the sign-up page': signUp,
      'the consent page': async () => {
        const browser = new Browser();
        return browser.submit(await browser.visit(demo({}, 'demo-web')), ALICE);
      },
      'the account choice': async () => (await signedIn()).visit(demo({ prompt: 'select_account' })),
      'the sign-out page': async () => (await signedIn()).visit(`${server.issuer}/logout`),
      'the signed-out page': () => new Browser().visit(`${server.issuer}/logout/success`),
      'the device page': () => new Browser().visit(`${server.issuer}/device`),
      'an error page of the engine': () => new Browser().visit(`${server.issuer}/authorize`),
      'an error page of this server': () => new Browser().visit(`${server.issuer}/nothing`),
    };
  });
  after(() => server.close());

  it('The source code sends HTML pages in one place, so that all have the same headers', () => {
    const source = join(import.meta.dirname, '../../src');
    const setting = globSync('**/*.ts', { cwd: source })
      .filter((path) => !path.startsWith('demo'))
      .filter((path) => readFileSync(join(source, path), 'utf8').includes("type = 'html'"));
    // The page in the frame of OpenID Connect Session Management is public, and any app may frame it.
    assert.deepEqual(setting.toSorted(), ['http/view.ts', 'oidc/logout/session-management.ts']);
  });

  const NAMES = [
    'the home page',
    'the sign-in page',
    'the sign-in page after a wrong password',
    'the sign-up page',
    'the consent page',
    'the account choice',
    'the sign-out page',
    'the signed-out page',
    'the device page',
    'an error page of the engine',
    'an error page of this server',
  ];
  for (const name of NAMES) {
    it(`The response headers protect ${name} from inline code, foreign files, framing and caching`, async () => {
      const { response, html } = (await pages[name]?.()) ?? assert.fail();
      const policy = policyOf(response);
      assert.deepEqual(policy.get('default-src'), ["'none'"]);
      assert.deepEqual(policy.get('script-src'), ["'self'"]);
      assert.deepEqual(policy.get('style-src'), ["'self'"]);
      assert.deepEqual(policy.get('base-uri'), ["'none'"]);
      assert.deepEqual(policy.get('frame-ancestors'), ["'none'"]);
      assert.ok(policy.has('form-action'), 'forms of this page may go anywhere');
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
      assert.equal(response.headers.get('x-frame-options'), 'DENY');
      assert.equal(response.headers.get('referrer-policy'), 'no-referrer');
      assert.equal(response.headers.get('cache-control'), 'no-store');
      assert.match(response.headers.get('x-request-id') ?? '', /^[\w-]+$/);
      assert.equal(response.headers.get('x-powered-by'), null);
      assert.doesNotMatch(withoutOwnScript(html), /<script|<style|\sstyle=|\son[a-z]+=|javascript:/i);
    });
  }

  const FORM_TARGETS: readonly [page: string, targets: () => string[]][] = [
    ['the home page', () => ["'self'"]],
    ['the sign-in page', () => ["'self'", appOrigin]],
    ['the sign-up page', () => ["'self'", appOrigin]],
    ['the account choice', () => ["'self'", appOrigin]],
    ['the sign-out page', () => ["'self'"]],
    ['an error page of this server', () => ["'self'"]],
  ];
  for (const [name, targets] of FORM_TARGETS) {
    it(`The policy limits the form targets of ${name}`, async () => {
      const { response } = (await pages[name]?.()) ?? assert.fail();
      assert.deepEqual(policyOf(response).get('form-action'), targets());
    });
  }

  it('The policy of the sign-out page allows its form to end at the app that requested the sign-out', async () => {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer));
    const returnTo = `${appOrigin}/`;
    const query = new URLSearchParams({ client_id: 'demo-notes', post_logout_redirect_uri: returnTo });
    const page = await browser.visit(`${server.issuer}/logout?${query.toString()}`);
    assert.deepEqual(policyOf(page.response).get('form-action'), ["'self'", appOrigin]);
    const end = await browser.submit(page, { logout: 'yes' }, returnTo);
    assert.equal(end.url, returnTo);
  });

  it('The policy of a form_post response allows only the hash of its own script', async () => {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer));
    const request = authorizationRequest(server.issuer, 'demo-notes', { response_mode: 'form_post' });
    const { html, response } = await browser.visit(request.url);
    const [, script = ''] = /<script>([^<]*)<\/script>/.exec(html) ?? [];
    assert.notEqual(script, '');
    const hash = createHash('sha256').update(script).digest('base64');
    assert.deepEqual(policyOf(response).get('script-src'), [`'sha256-${hash}'`]);
    assert.equal(/<form method="post" action="([^"]*)"/.exec(html)?.[1], request.redirectUri);
  });

  it('The responses with tokens or claims forbid caching', async () => {
    const request = authorizationRequest(server.issuer);
    const callback = await signIn(new Browser(), request);
    const { response, body } = await exchangeCode(server.issuer, request, callback);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    const userinfo = await fetch(`${server.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${String(body['access_token'])}` },
    });
    assert.equal(userinfo.status, 200);
    assert.equal(userinfo.headers.get('cache-control'), 'no-store');
  });

  it('Each request receives its own id, which the client cannot choose', async () => {
    const ids = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const response = await fetch(server.issuer, { headers: { 'x-request-id': 'chosen' } });
        return response.headers.get('x-request-id');
      }),
    );
    assert.equal(new Set(ids).size, 20);
    assert.ok(!ids.includes('chosen') && !ids.includes(null));
  });

  it('A server with an https issuer sends Strict-Transport-Security and secure cookies', async () => {
    await using behindTls = await startTestServer({
      change: (config) => ({
        ...config,
        issuer: 'https://login.example',
        listen: { ...config.listen, trusted_proxies: ['127.0.0.1'] },
      }),
    });
    const { port } = behindTls;
    const request = authorizationRequest(`http://localhost:${port}`);
    const response = await fetch(`http://127.0.0.1:${port}/authorize${new URL(request.url).search}`, {
      redirect: 'manual',
      headers: { 'x-forwarded-host': 'login.example' },
    });
    assert.equal(response.headers.get('strict-transport-security'), 'max-age=31536000');
    const cookies = response.headers.getSetCookie();
    assert.ok(cookies.length > 0);
    for (const cookie of cookies) {
      assert.match(cookie, /^__(Host|Secure)-/);
      assert.match(cookie, /; secure/i);
      assert.match(cookie, /; httponly/i);
      assert.match(cookie, /; samesite=lax/i);
    }
  });
});
