import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { parseConfig } from '../../src/config/loading/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { Browser, type Page } from '../support/browser.ts';
import { launchChromium } from '../support/chromium.ts';
import { ALICE, authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer } from '../support/server.ts';
import { readGuide, runGuide } from './guide.ts';

/** Names that every guide uses, in place of which the tests put their own. */
const ISSUER = 'https://login.example.com';
const APP = 'https://app.example.com';
const PORT = '8000';

/** The library's discovery takes no http issuer, so on localhost it gets each address. */
const RUBY = {
  'discovery: true,': 'discovery: false,',
  'client_options: {': `client_options: {
    **URI('${ISSUER}').then { |uri| { scheme: uri.scheme, host: uri.host, port: uri.port } },
    authorization_endpoint: '/authorize', token_endpoint: '/token', userinfo_endpoint: '/userinfo',
    jwks_uri: '${ISSUER}/jwks',`,
};

interface App {
  /** Where the app shows the person's address, if it is not where they come back to. */
  shownAt?: string;
  /** A page of the app comes first, with a form that leads on. */
  hasButton?: boolean;
  /** The app is a script in the browser. */
  isScript?: boolean;
  /** Lines that an app needs on localhost, where there is no TLS. */
  withoutTls?: Record<string, string>;
}

const APPS: Record<string, App> = {
  flask: {},
  django: {},
  'social-auth': { hasButton: true },
  'go-oidc': {},
  'zitadel-oidc': {
    withoutTls: { 'NewCookieHandler(key, key)': 'NewCookieHandler(key, key, httphelper.WithUnsecure())' },
  },
  'hashicorp-cap': {},
  'oauth2-proxy': {
    shownAt: '/oauth2/userinfo',
    withoutTls: { 'skip_provider_button = true': 'skip_provider_button = true\ncookie_secure = false' },
  },
  spring: {},
  rust: {},
  rails: { hasButton: true, withoutTls: RUBY },
  authjs: { hasButton: true },
  nextjs: { hasButton: true },
  react: { isScript: true },
  vue: { isScript: true },
  'keycloak-js': { isScript: true },
};

/** The clients and APIs that a guide has at Latchkey. */
function clientsOf(guide: string, issuer: string, secret: string): Pick<Config, 'clients' | 'resources'> {
  const yaml = /^```yaml\n(.*?)^```/ms.exec(guide)?.[1] ?? '';
  const source = { text: `issuer: ${issuer}\n${yaml}`, name: 'the guide', folder: '/' };
  const { clients, resources } = parseConfig(source, { environment: { CLIENT_SECRET: secret } }).config;
  return { clients, resources };
}

interface RunningApp {
  readonly url: string;
  readonly issuer: string;
  readonly secret: string;
  readonly said: () => string;
  close(): Promise<void>;
}

/** Starts a server with the clients of a guide, and the program that the guide shows. */
async function startApp(name: string, withoutTls: Record<string, string> = {}): Promise<RunningApp> {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const secret = randomBytes(32).toString('base64url');
  const here = (text: string, issuer: string): string =>
    Object.entries({ ...withoutTls, [ISSUER]: issuer, [APP]: url, [PORT]: String(port) }).reduce(
      (changed, [from, to]) => changed.replaceAll(from, to),
      text,
    );
  const { text } = await readGuide(name);
  const server = await startTestServer({
    change: (config) => ({
      ...config,
      ...clientsOf(here(text, config.issuer), config.issuer, secret),
      outgoing: { ...config.outgoing, allow: ['localhost'] },
    }),
  });
  try {
    const guide = await readGuide(name, (shown) => here(shown, server.issuer));
    const program = await runGuide(guide, port, { CLIENT_SECRET: secret, SESSION_SECRET: secret });
    const close = (): Promise<void> => program.close().then(() => server.close());
    return { url, issuer: server.issuer, secret, said: program.said, close };
  } catch (error) {
    await server.close();
    throw error;
  }
}

for (const [name, { shownAt = '', hasButton = false, isScript = false, withoutTls }] of Object.entries(APPS)) {
  describe(`The app of the guide ${name}`, function () {
    // The first time, its packages are brought from their registry and compiled.
    this.timeout(900_000);
    let app: RunningApp | undefined;
    before(async () => (app = await startApp(name, withoutTls)));
    after(() => app?.close());

    async function signsIn({ url, said }: RunningApp): Promise<void> {
      const browser = new Browser();
      let page: Page = await browser.visit(url);
      const seen = (): string => `${page.status} ${page.url}:\n${page.html}\n${said()}`;
      if (hasButton) page = await browser.submit(page, {});
      assert.ok(page.html.includes('type="password"'), seen());
      page = await browser.submit(page, { ...ALICE });
      if (shownAt !== '') page = await browser.visit(`${url}${shownAt}`);
      assert.ok(page.html.includes(ALICE.email), seen());
    }

    it(`The app signs a person in${isScript ? ' and out' : ''}, and gets their address`, async () => {
      assert.ok(app !== undefined);
      await (isScript ? inChromium(app.url) : signsIn(app));
    });
  });
}

describe('The API of the guide spring-api', function () {
  this.timeout(900_000);
  let api: RunningApp | undefined;
  before(async () => (api = await startApp('spring-api')));
  after(() => api?.close());

  async function statusWith(scope: string): Promise<number> {
    assert.ok(api !== undefined);
    const { issuer, url, secret } = api;
    const request = authorizationRequest(issuer, 'notes', {
      redirect_uri: `${url}/callback`,
      ...{ scope, resource: url },
    });
    const answer = await exchangeCode(issuer, request, await signIn(new Browser(), request), `notes:${secret}`);
    const authorization = `Bearer ${String(answer.body['access_token'])}`;
    const response = await fetch(`${url}/notes`, { headers: { authorization } });
    await response.body?.cancel();
    return response.status;
  }

  it('The API accepts the token that a person allowed an app, and none without its scope', async () => {
    assert.equal(await statusWith('openid notes:read'), 200);
    assert.equal(await statusWith('openid'), 403);
  });
});

async function inChromium(app: string): Promise<void> {
  const chromium = await launchChromium();
  const said: string[] = [];
  try {
    const page = await chromium.newPage();
    page.on('console', (message) => said.push(message.text()));
    page.on('pageerror', (error) => said.push(error.message));
    await page.goto(app);
    const button = page.getByRole('button', { name: 'Sign in' });
    await button.or(page.getByLabel('Password')).first().waitFor();
    if (page.url().startsWith(app)) await button.click();
    await page.getByLabel('Email').fill(ALICE.email);
    await page.getByLabel('Password').fill(ALICE.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText(`Signed in as ${ALICE.email}`).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    // Either the app asks again, or it sends the person to the server, which does.
    await button.or(page.getByLabel('Password')).first().waitFor();
  } catch (cause) {
    throw new Error(`the page says: ${said.join('\n')}`, { cause });
  } finally {
    await chromium.close();
  }
}
