import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createAppServer, type IncomingMessage, type Server as AppServer } from 'node:http';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { Config } from '../../src/config/schema.ts';
import { certificateFor } from '../support/certificate.ts';
import { launchChromium } from '../support/chromium.ts';
import { ADMIN, ALICE, authorizationRequest, type AuthorizationRequest, type Person } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const ISSUER = 'login.example.test';
const SIBLING = 'attacker.example.test';

describe('A sibling subdomain in Chromium over HTTPS', function () {
  this.timeout(120_000);
  let directory: string;
  let server: TestServer;
  let sibling: Server;
  let siblingOrigin: string;
  let app: AppServer;
  let chromium: Browser;
  /** What the sibling's page sets, each a whole `Set-Cookie` line. */
  let planted: string[] = [];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'latchkey-siblings-'));
    const certificate = certificateFor({ name: [['CN', 'example.test']], dns: '*.example.test' });
    await writeFile(join(directory, 'cert.pem'), certificate.cert);
    await writeFile(join(directory, 'key.pem'), certificate.key);
    server = await startTestServer({ change: overTls });
    sibling = createServer(certificate, (_request, response) => {
      response.setHeader('Set-Cookie', planted);
      response.end('a sibling');
    }).listen(0, '127.0.0.1');
    await once(sibling, 'listening');
    siblingOrigin = `https://${SIBLING}:${(sibling.address() as AddressInfo).port}`;
    const { port } = new URL(authorizationRequest(server.issuer).redirectUri);
    app = createAppServer((_request, response) => response.end('the app')).listen(Number(port), 'localhost');
    await once(app, 'listening');
    chromium = await launchChromium(['--host-resolver-rules=MAP *.example.test 127.0.0.1']);
  });
  after(async () => {
    await chromium.close();
    for (const each of [sibling, app]) {
      each.closeAllConnections();
      each.close();
    }
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });

  function overTls(config: Config): Config {
    const tls = { ...config.listen.tls, cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
    return {
      ...config,
      issuer: `https://${ISSUER}:${new URL(config.issuer).port}`,
      listen: { ...config.listen, tls },
    };
  }

  /** A person's browser. */
  async function open(): Promise<{ context: BrowserContext; page: Page }> {
    const context = await chromium.newContext({ ignoreHTTPSErrors: true });
    return { context, page: await context.newPage() };
  }

  async function fillIn(page: Page, { email, password }: Person): Promise<void> {
    await page.getByLabel('Email').fill(email);
    await page.getByLabel('Password', { exact: true }).fill(password);
  }

  async function signIn(page: Page, asked: AuthorizationRequest, person: Person): Promise<void> {
    await page.goto(asked.url);
    await fillIn(page, person);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('the app').waitFor();
  }

  /** A form with a browser's cookies, whose redirect nobody follows. */
  async function post(
    { context }: { context: BrowserContext },
    path: string,
    fields: Record<string, string>,
  ): Promise<number | undefined> {
    const { host, port } = new URL(server.issuer);
    const cookies = (await context.cookies(server.issuer + path)).map(({ name, value }) => `${name}=${value}`);
    const headers = { host, cookie: cookies.join('; '), 'content-type': 'application/x-www-form-urlencoded' };
    const to = {
      host: '127.0.0.1',
      port,
      path,
      method: 'POST',
      headers,
      servername: ISSUER,
      rejectUnauthorized: false,
    };
    const sent = request(to).end(new URLSearchParams(fields).toString());
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    answer.resume();
    return answer.statusCode;
  }

  const whoIsSignedIn = async (page: Page): Promise<string> => {
    await page.goto(server.issuer);
    return page.innerText('main');
  };

  /**
   * Has the victim open the sibling's page, which sets every cookie that the attacker's browser has for the issuer, under
   * its own name and under those that the engine and earlier versions use, on the whole domain.
   */
  async function plant(victim: Page, attacker: BrowserContext, uid: string): Promise<void> {
    const own = (await attacker.cookies()).map(({ name, value }) => [name, value] as const);
    const names = [
      '__Secure-interaction',
      '__Secure-resume',
      'interaction',
      'resume',
      '_interaction',
      '_interaction_resume',
    ];
    const pairs = [...own, ...names.map((name) => [name, uid] as const)];
    const paths = ['/', `/interaction/${uid}`, `/authorize/${uid}`];
    planted = pairs.flatMap(([name, value]) =>
      paths.map((path) => `${name}=${value}; Domain=example.test; Path=${path}; Secure; HttpOnly; SameSite=Lax`),
    );
    await victim.goto(siblingOrigin);
    planted = [];
    const kept = await victim.context().cookies(`${server.issuer}/interaction/${uid}`);
    // The browser has taken the sibling's cookies, but for those that only the issuer's host may set.
    assert.ok(kept.some(({ name, domain }) => name === '__Secure-interaction' && domain === '.example.test'));
    assert.ok(!kept.some(({ name, domain }) => name.startsWith('__Host-') && domain.startsWith('.')));
  }

  const uidOf = (page: Page): string => new URL(page.url()).pathname.split('/')[2] ?? assert.fail(page.url());

  for (const before of ['a new browser', 'a browser that has a sign-in of its own under way']) {
    it(`A sibling subdomain cannot make a victim finish the attacker’s sign-in in ${before}`, async () => {
      const [attacker, victim] = [await open(), await open()];
      await attacker.page.goto(authorizationRequest(server.issuer).url);
      const uid = uidOf(attacker.page);
      if (before !== 'a new browser') await victim.page.goto(authorizationRequest(server.issuer).url);
      await plant(victim.page, attacker.context, uid);
      for (const path of [`/interaction/${uid}`, `/interaction/${uid}/sign-in`]) {
        const answer = await victim.page.goto(server.issuer + path);
        assert.equal(answer?.status(), 400);
        assert.match(await victim.page.title(), /^This sign-in has ended/);
        assert.equal(await victim.page.getByLabel('Email').count(), 0);
      }
      await attacker.page.goto(`${server.issuer}/authorize/${uid}`);
      assert.match(await whoIsSignedIn(attacker.page), /You are not signed in/);
    });

    it(`A sibling subdomain cannot sign a victim in to the attacker’s account in ${before}`, async () => {
      const [attacker, victim] = [await open(), await open()];
      await attacker.page.goto(authorizationRequest(server.issuer).url);
      const uid = uidOf(attacker.page);
      // The attacker's own tool stops where a browser would be led on.
      const csrf = await attacker.page.locator('input[name=csrf]').inputValue();
      assert.equal(await post(attacker, `/interaction/${uid}/sign-in`, { ...ADMIN, csrf }), 303);
      if (before !== 'a new browser') await victim.page.goto(authorizationRequest(server.issuer).url);
      await plant(victim.page, attacker.context, uid);
      const answer = await victim.page.goto(`${server.issuer}/authorize/${uid}`);
      assert.equal(answer?.status(), 400);
      assert.ok(victim.page.url().startsWith(server.issuer));
      assert.match(await whoIsSignedIn(victim.page), /You are not signed in/);
    });
  }

  it('A sibling subdomain can neither take over nor end the session of a signed-in victim', async () => {
    const [attacker, victim] = [await open(), await open()];
    await signIn(victim.page, authorizationRequest(server.issuer), ALICE);
    await signIn(attacker.page, authorizationRequest(server.issuer), ADMIN);
    await attacker.page.goto(authorizationRequest(server.issuer, 'demo-notes', { prompt: 'login' }).url);
    const uid = uidOf(attacker.page);
    await plant(victim.page, attacker.context, uid);
    for (const path of [`/interaction/${uid}`, `/authorize/${uid}`])
      assert.equal((await victim.page.goto(server.issuer + path))?.status(), 400);
    assert.match(await whoIsSignedIn(victim.page), /alice@example\.com/);
  });

  it('A victim with planted cookies can still sign in, even by a double click', async () => {
    const [attacker, victim] = [await open(), await open()];
    await attacker.page.goto(authorizationRequest(server.issuer).url);
    await plant(victim.page, attacker.context, uidOf(attacker.page));
    const asked = authorizationRequest(server.issuer);
    await victim.page.goto(asked.url);
    await fillIn(victim.page, ALICE);
    await victim.page.getByRole('button', { name: 'Sign in' }).dblclick();
    await victim.page.getByText('the app').waitFor();
    assert.ok(new URL(victim.page.url()).searchParams.has('code'), victim.page.url());
    assert.match(await whoIsSignedIn(victim.page), /alice@example\.com/);
  });
});
