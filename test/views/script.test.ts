import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { ALICE, authorizationRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const WRONG = 'wrong wrong wrong';

describe('The page script in Chromium', function () {
  this.timeout(120_000);
  let server: TestServer;
  let app: Server;
  let chromium: Browser;
  let page: Page;

  before(async () => {
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.map((client) => ({
          ...client,
          ...(client.client_id === 'demo-web' && { logo_uri: 'https://localhost:1/logo.png' }),
        })),
      }),
    });
    app = createServer((_request, response) => response.end('the app'));
    app.listen(Number(new URL(authorizationRequest(server.issuer).redirectUri).port), 'localhost');
    await once(app, 'listening');
    chromium = await launchChromium();
  });
  afterEach(async () => {
    returnToPresent();
    await page.context().close();
  });
  after(async () => {
    await chromium.close();
    app.closeAllConnections();
    app.close();
    await server.close();
  });

  /** The sign-in page, in a browser whose clock stands still until the test moves it. */
  async function open(client = 'demo-notes', options: BrowserContextOptions = {}): Promise<void> {
    const context = await chromium.newContext(options);
    await context.clock.install({ time: 0 });
    await context.clock.pauseAt(1000);
    page = await context.newPage();
    await page.goto(authorizationRequest(server.issuer, client).url);
  }

  const password = () => page.getByLabel('Password');
  const send = () => page.getByRole('button', { name: 'Sign in' });

  async function tryToSignIn(email: string, secret: string): Promise<number | undefined> {
    await page.getByLabel('Email').fill(email);
    await password().fill(secret);
    const answered = page.waitForResponse((response) => response.request().method() === 'POST');
    await send().click();
    return (await answered).status();
  }

  describe('The "Show password" button', () => {
    it('The "Show password" button follows its field and shows its state', async () => {
      await open();
      await password().fill(WRONG);
      await page.keyboard.press('Tab');
      const button = page.locator(':focus');
      assert.equal(await button.innerText(), 'Show password');
      await page.keyboard.press('Space');
      assert.equal(await password().getAttribute('type'), 'text');
      assert.equal(await button.innerText(), 'Hide password');
      await page.keyboard.press('Space');
      assert.equal(await password().getAttribute('type'), 'password');
      assert.equal(await button.innerText(), 'Show password');
    });

    it('The password field is hidden again when the form is sent, and sends the typed password', async () => {
      await open();
      await page.evaluate(`document.querySelector('form').addEventListener('submit', () => {
        window.name = document.getElementById('password').type;
      })`);
      await page.getByRole('button', { name: 'Show password' }).click();
      assert.equal(await tryToSignIn(ALICE.email, ALICE.password), 303);
      await page.getByText('the app').waitFor();
      assert.equal(await page.evaluate('window.name'), 'password');
    });

    it('The password field disables the spelling check, which may send what is typed elsewhere', async () => {
      await open();
      assert.equal(await password().getAttribute('spellcheck'), 'false');
    });

    it('The "Show password" button does not appear without scripts', async () => {
      await open('demo-notes', { javaScriptEnabled: false });
      assert.equal(await page.locator('.reveal').count(), 1);
      assert.equal(await page.getByRole('button', { name: 'Show password' }).count(), 0);
    });
  });

  describe('The countdown after too many attempts', () => {
    const notice = () => page.getByRole('alert');
    const seen = () => notice().locator('[aria-hidden]').innerText();
    const spoken = () => notice().locator('.visually-hidden').innerText();

    /** Wrong passwords until there is a wait of some seconds. @returns its seconds, as the server gives them */
    async function guessUntilWait(email: string): Promise<number> {
      for (let guess = 0; guess < 20; guess += 1) {
        const status = await tryToSignIn(email, WRONG);
        assert.ok(status === 401 || status === 429, String(status));
        if (status !== 429) continue;
        const seconds = Number(await page.locator('[data-wait]').getAttribute('data-wait'));
        if (seconds > 3) return seconds;
        await page.clock.runFor((seconds + 1) * 1000);
        travel(seconds + 1);
      }
      return assert.fail('no wait of some seconds');
    }

    it('The countdown after too many attempts disables the button until it reaches zero', async () => {
      await open();
      const seconds = await guessUntilWait('carol@example.com');
      const clock = (rest: number) => `Try again in 0:${String(rest).padStart(2, '0')}.`;
      const first = await spoken();
      assert.match(first, /^Try again in \d+ seconds?\.$/);
      assert.ok(await send().isDisabled());
      await page.clock.runFor(1000);
      assert.equal(await seen(), clock(seconds - 1));
      await page.clock.runFor(1000);
      assert.equal(await seen(), clock(seconds - 2));
      assert.equal(await spoken(), first);
      await page.clock.runFor((seconds - 2) * 1000);
      assert.equal(await notice().innerText(), 'Too many attempts. You can try again now.');
      assert.ok(await send().isEnabled());
      travel(seconds);
      assert.equal(await tryToSignIn('carol@example.com', WRONG), 401);
    });

    it('The sign-in form can be sent for another account during the countdown', async () => {
      await open();
      await guessUntilWait('dave@example.com');
      await page.getByLabel('Email').fill('erin@example.com');
      assert.ok(await send().isEnabled());
      await page.getByLabel('Email').fill('dave@example.com');
      assert.ok(await send().isDisabled());
      assert.equal(await tryToSignIn('erin@example.com', WRONG), 401);
    });

    it('The countdown after too many attempts follows the clock even if the browser was asleep', async () => {
      await open();
      const seconds = await guessUntilWait('frank@example.com');
      await page.clock.fastForward(seconds * 1000);
      assert.ok(await send().isEnabled());
    });

    it('The sign-in form stays usable without scripts after too many attempts', async () => {
      await open('demo-notes', { javaScriptEnabled: false });
      await guessUntilWait('grace@example.com');
      assert.match(await notice().innerText(), /^Too many attempts\. Try again in \d+ seconds\.$/);
      assert.ok(await send().isEnabled());
    });
  });

  it('The consent page shows the initial of an app whose logo is missing', async () => {
    await open('demo-web');
    await page.getByLabel('Email').fill(ALICE.email);
    await password().fill(ALICE.password);
    await send().click();
    await page.getByRole('button', { name: 'Allow', exact: true }).waitFor();
    await page.locator('.app-mark img').waitFor({ state: 'detached' });
    assert.match(await page.locator('.app-mark').innerText(), /^\p{Lu}$/u);
  });
});
