import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { startDemoProcess, type DemoProcess } from '../support/demo-process.ts';
import { freePort } from '../support/free-port.ts';

/** What a newcomer does with `npm start`, in one browser, in this order. */
describe('The story of the demo in a browser', function () {
  this.timeout(240_000);
  let directory: string;
  let port: number;
  let demo: DemoProcess;
  let chromium: Browser;
  let person: BrowserContext;
  let notes: Page;
  let photos: Page;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'latchkey-story-'));
    port = await freePort(4);
    demo = await startDemoProcess(directory, port);
    chromium = await launchChromium();
    person = await chromium.newContext();
    notes = await person.newPage();
  });

  after(async () => {
    await chromium.close();
    await demo.interrupt();
    await rm(directory, { recursive: true, force: true });
  });

  const app = (offset: number): string => `http://localhost:${port + offset}/`;

  it('The demo prints what to open and how to sign in', () => {
    for (const text of [app(1).slice(0, -1), 'alice@example.com', 'admin@example.com', 'latchkey-demo', 'Ctrl-C']) {
      assert.ok(demo.output().includes(text), `"${text}" is missing in:\n${demo.output()}`);
    }
  });

  it('Alice signs in to the first demo app, which shows the claims of her tokens', async () => {
    await notes.goto(app(1));
    await notes.click('#sign-in');
    await fillIn(notes, { email: 'alice@example.com', password: 'latchkey-demo' });
    await shows(notes, '#person-name', 'Alice');
    assert.equal(await notes.textContent('#person-email'), 'alice@example.com');
    const idToken = await claims(notes, 'id-token');
    const accessToken = await claims(notes, 'access-token');
    assert.equal(idToken['iss'], `http://localhost:${port}`);
    assert.equal(idToken['aud'], 'demo-notes');
    assert.deepEqual(idToken['amr'], ['pwd']);
    assert.equal(accessToken['aud'], `http://localhost:${port + 3}`);
    assert.deepEqual(accessToken['roles'], ['user']);
    assert.equal(accessToken['sub'], idToken['sub']);
  });

  it('Alice can read her notes, but not the administrators’ page', async () => {
    assert.match(await call(notes, '/me'), /^200/);
    assert.match(await call(notes, '/notes'), /^200/);
    assert.match(await call(notes, '/admin'), /^403/);
  });

  it('The second demo app signs Alice in without a password', async () => {
    photos = await person.newPage();
    await photos.goto(app(2));
    await shows(photos, '#person-name', 'Alice');
    assert.equal((await claims(photos, 'id-token'))['aud'], 'demo-photos');
  });

  it('Alice is still signed in after a restart of the server', async () => {
    const before = await claims(notes, 'access-token');
    assert.equal(await demo.interrupt(), 0);
    demo = await startDemoProcess(directory, port);
    assert.match(await call(notes, '/notes'), /^200/);
    await notes.click('#renew');
    await until(async () => (await claims(notes, 'access-token'))['jti'] !== before['jti']);
    assert.equal((await claims(notes, 'access-token'))['sub'], before['sub']);
  });

  it('A sign-out from one app signs Alice out of both', async () => {
    await photos.bringToFront();
    await photos.click('#sign-out');
    await shows(photos, '#signed-out h1', 'Welcome to Photos');
    await notes.bringToFront();
    await notes.reload();
    await shows(notes, '#signed-out h1', 'Welcome to Notes');
    assert.equal(await notes.isVisible('#signed-in'), false);
  });

  it('The administrator can read the administrators’ page', async () => {
    await notes.click('#sign-in');
    await fillIn(notes, { email: 'admin@example.com', password: 'latchkey-demo' });
    await shows(notes, '#person-name', 'Admin');
    assert.match(await call(notes, '/admin'), /^200/);
  });

  it('A new person signs up, and the next sign-in is to the same account', async () => {
    const somebody = await chromium.newContext({ javaScriptEnabled: true });
    const page = await somebody.newPage();
    await page.goto(app(1));
    await page.click('#sign-in');
    await page.click('text=Create an account');
    await fillIn(page, { name: 'Grace Hopper', email: 'grace@example.com', password: 'compilers are possible' });
    await shows(page, '#person-name', 'Grace Hopper');
    const { sub } = await claims(page, 'id-token');
    await page.click('#sign-out');
    await shows(page, '#signed-out h1', 'Welcome to Notes');
    await page.click('#sign-in');
    await fillIn(page, { email: 'Grace@Example.com', password: 'compilers are possible' });
    await shows(page, '#person-name', 'Grace Hopper');
    assert.equal((await claims(page, 'id-token'))['sub'], sub);
    await somebody.close();
  });

  it('The sign-in page reports a wrong password, and keeps the email address', async () => {
    const stranger = await chromium.newContext();
    const page = await stranger.newPage();
    await page.goto(app(1));
    await page.click('#sign-in');
    await fillIn(page, { email: 'alice@example.com', password: 'not her password' });
    await shows(page, '[role=alert]', 'Wrong email or password.');
    assert.equal(await page.inputValue('input[name=email]'), 'alice@example.com');
    assert.equal(await page.inputValue('input[name=password]'), '');
    await page.click('text=Cancel');
    await page.waitForURL(`${app(1)}**`);
    await shows(page, '#notice', /./);
    await stranger.close();
  });
});

async function fillIn(page: Page, fields: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(fields)) await page.fill(`input[name=${name}]`, value);
  await page.click('button.primary');
}

async function shows(page: Page, selector: string, text: string | RegExp): Promise<void> {
  await page.locator(selector).filter({ hasText: text, visible: true }).first().waitFor({ timeout: 45_000 });
}

async function claims(page: Page, token: 'id-token' | 'access-token'): Promise<Record<string, unknown>> {
  return JSON.parse((await page.textContent(`#${token} .claims`)) ?? '{}') as Record<string, unknown>;
}

/** Calls the API by the app's button. @returns the status and body that the app shows */
async function call(page: Page, path: string): Promise<string> {
  await page.click(`[data-call="${path}"]`);
  await shows(page, '#answer-path', path);
  return `${await page.textContent('#answer-status')} ${await page.textContent('#answer-body')}`;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const patience = 100;
  for (let tries = 0; tries < patience; tries += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail('it did not happen');
}
