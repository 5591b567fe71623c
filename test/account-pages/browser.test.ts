import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { ALICE, authorizationRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const NEXT = 'plum cassette harbour';

describe('The account pages in Chromium without JavaScript', function () {
  this.timeout(60_000);
  let server: TestServer;
  let app: Server;
  let chromium: Browser;
  let desk: Page;
  let phone: Page;

  before(async () => {
    server = await startTestServer();
    app = createServer((_request, response) => response.end('the app'));
    app.listen(Number(new URL(authorizationRequest(server.issuer).redirectUri).port), 'localhost');
    await once(app, 'listening');
    chromium = await launchChromium();
    desk = await signedIn({ userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0' });
    phone = await signedIn({
      userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) Version/26.0 Mobile/15E148 Safari/604.1',
    });
  });
  after(async () => {
    await chromium.close();
    app.closeAllConnections();
    app.close();
    await server.close();
  });

  /** A browser in which alice has signed in to the first app, on the server's own page. */
  async function signedIn(options: Parameters<Browser['newContext']>[0]): Promise<Page> {
    const context = await chromium.newContext({ ...options, javaScriptEnabled: false });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    const request = authorizationRequest(server.issuer);
    await page.goto(request.url);
    await page.getByLabel('Email').fill(ALICE.email);
    await page.getByLabel('Password').fill(ALICE.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('the app').waitFor();
    await page.goto(server.issuer);
    assert.deepEqual(complaints, []);
    return page;
  }

  const heading = (page: Page): Promise<string> => page.getByRole('heading', { level: 1 }).innerText();

  it('The sessions page is linked from the account page, and signs the phone out after a confirmation', async () => {
    await desk.getByRole('link', { name: 'Where you are signed in' }).click();
    assert.equal(await heading(desk), 'Where you are signed in');
    const here = desk.getByRole('listitem').filter({ hasText: 'This browser' });
    assert.match(await here.innerText(), /^Firefox on Linux\n\nThis browser\n\nSigned in\n.* UTC, a moment ago/);
    await desk.getByRole('button', { name: 'Sign out Safari on iPhone' }).click();
    assert.equal(await heading(desk), 'Sign out Safari on iPhone?');
    await desk.getByRole('link', { name: 'Cancel' }).click();
    assert.equal(await heading(desk), 'Where you are signed in');
    await desk.getByRole('button', { name: 'Sign out Safari on iPhone' }).click();
    await desk.getByRole('button', { name: 'Sign out' }).click();
    assert.equal(await desk.getByRole('status').innerText(), 'Safari on iPhone is signed out.');
    assert.equal(await desk.getByRole('button', { name: 'Sign out everywhere else' }).count(), 0);
    assert.equal(await desk.getByRole('listitem').count(), 1);
    await phone.reload();
    await phone.getByRole('link', { name: 'Sign in' }).waitFor();
  });

  it('The password form works with the keyboard alone and keeps the person signed in', async () => {
    await desk.getByRole('link', { name: 'change your password' }).click();
    assert.equal(await desk.locator(':focus').getAttribute('id'), 'current');
    for (const text of ['a wrong password', NEXT, NEXT]) {
      await desk.keyboard.type(text);
      await desk.keyboard.press('Tab');
    }
    await desk.keyboard.press('Enter');
    await desk.getByText('This is not your current password.').waitFor();
    assert.equal(await desk.locator(':focus').getAttribute('aria-describedby'), 'current-error');
    for (const text of [ALICE.password, NEXT, NEXT]) {
      await desk.keyboard.type(text);
      await desk.keyboard.press('Tab');
    }
    await desk.keyboard.press('Enter');
    await desk.getByRole('heading', { name: 'Your password has been changed' }).waitFor();
    await desk.getByRole('link', { name: 'Your account' }).click();
    assert.match(await desk.innerText('main'), /You are signed in\.\s+A\s+Alice/);
  });

  it('The page of apps lists the apps with access and removes one after a confirmation', async () => {
    await desk.goto(authorizationRequest(server.issuer).url);
    await desk.getByText('the app').waitFor();
    await desk.goto(`${server.issuer}/apps`);
    await desk.getByRole('button', { name: 'Remove access for Notes' }).click();
    assert.equal(await heading(desk), 'Remove access for Notes?');
    await desk.getByRole('button', { name: 'Remove access' }).click();
    assert.equal(await desk.getByRole('status').innerText(), 'Notes no longer has access to your account.');
    await desk.getByText('No app has access to your account.').waitFor();
    await desk.getByRole('link', { name: 'Your account' }).click();
    assert.match(await heading(desk), /^Your Latchkey demo account/);
  });
});
