import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { blocksOf, type Block } from './blocks.ts';
import { Terminals } from './terminal.ts';

const ROOT = join(import.meta.dirname, '../..');
const PASSWORD = 'plum cassette harbour';
/** Milliseconds that a page may take on a busy machine. */
const PATIENCE = 120_000;

/** The README, followed word for word: its blocks are all that is typed, but for the password. */
describe('"Connect an app in five minutes"', function () {
  this.timeout(1_800_000);
  const blocks = blocksOf('Connect an app in five minutes');
  const shell = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text.trimEnd());
  const [install = '', serve = '', account = '', apps = '', machine = ''] = shell;
  let folder: string;
  let app: string;
  let terminals: Terminals;
  let chromium: Browser;
  let page: Page;
  let start: number;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'latchkey-readme-'));
    app = join(folder, 'first-app');
    terminals = new Terminals(ownEnvironment(join(folder, 'latchkey/bin')));
    chromium = await launchChromium();
    page = await chromium.newPage();
    page.setDefaultTimeout(PATIENCE);
    start = performance.now();
  });

  after(async () => {
    terminals.close();
    await chromium.close();
    await rm(folder, { recursive: true, force: true });
  });

  const write = ({ file = '', text }: Block): Promise<void> => writeFile(join(app, file), text);

  it('The README’s five-minute section has only blocks that the test can type', () => {
    assert.deepEqual(
      [shell.length, blocks.filter(({ language, file }) => language !== 'sh' && file === undefined)],
      [5, []],
    );
  });

  it('The README’s installation works in a fresh clone', async () => {
    execFileSync('git', ['clone', '-q', ROOT, 'latchkey'], { cwd: folder });
    await terminals.run(install, join(folder, 'latchkey'));
    for (const block of blocks.filter(({ file }) => file !== undefined)) await write(block);
  });

  it('The README’s commands create the secrets and start the server', async () => {
    await terminals.leave(serve, app, 'http://localhost:3000/healthz');
    assert.match(terminals.output, /configuration is valid: latchkey\.yaml/);
  });

  it('The README’s command creates an account and asks for its password', async () => {
    await terminals.run(account, app, [PASSWORD, PASSWORD]);
    assert.match(terminals.output, /added account you@example\.com/);
    assert.ok(!terminals.output.includes(PASSWORD));
  });

  it('The README’s three apps start', async () => {
    await terminals.leave(apps, app, 'http://localhost:5173/');
    await terminals.leave('sleep 600', app, 'http://localhost:5174/');
  });

  it('The README’s single-page app signs the person in and shows the API’s response', async () => {
    await page.goto('http://localhost:5173/');
    await page.click('#sign-in');
    await page.fill('input[name=email]', 'you@example.com');
    await page.fill('input[name=password]', PASSWORD);
    await page.click('button.primary');
    await page.getByText('Signed in as You, you@example.com').waitFor();
    await page.getByText(/^A note of acc_/).waitFor();
    console.log(`      from the clone to the signed-in page: ${Math.round((performance.now() - start) / 1000)} s`);
  });

  it('The README’s web app signs the person in without a password, and out again', async () => {
    await page.goto('http://localhost:5175/');
    await page.click('button[value=allow]');
    await page.getByText(/^Signed in as acc_/).waitFor();
    await page.click('text=Sign out');
    await signedOut(page, page.locator('input[name=password]'));
  });

  it('The README’s single-page app signs the person out', async () => {
    await page.goto('http://localhost:5173/');
    await page.getByText('Signed in as You').waitFor();
    await page.click('#sign-out');
    await signedOut(page, page.getByText('Nobody is signed in.'));
  });

  it('The README’s machine client gets a token that the API accepts', async () => {
    const before = terminals.output.length;
    await terminals.run(machine, app);
    const answer = JSON.parse(terminals.output.slice(before)) as { access_token: string; scope: string };
    assert.equal(answer.scope, 'notes:read');
    const headers = { authorization: `Bearer ${answer.access_token}` };
    const notes = await fetch('http://localhost:5174/notes', { headers });
    assert.deepEqual([notes.status, await notes.text()], [200, 'A note of nightly']);
    assert.equal((await fetch('http://localhost:5174/notes')).status, 401);
  });
});

/** Waits for what is shown afterwards; the server may ask before. */
async function signedOut(page: Page, end: Locator): Promise<void> {
  const asks = page.locator('button.primary').filter({ hasText: 'Sign out' });
  await end.or(asks).first().waitFor();
  if (await asks.isVisible()) await asks.click();
  await end.waitFor();
}

/** A person's environment: none of what npm and this repository put into that of a test. */
function ownEnvironment(bin: string): NodeJS.ProcessEnv {
  const isOwn = (name: string): boolean =>
    !/^(npm_(?!config_(registry|cache|cafile)$)|LATCHKEY_|NODE_ENV$|INIT_CWD$)/.test(name);
  const PATH = (process.env['PATH'] ?? '').split(':').filter((folder) => !folder.includes('node_modules'));
  const kept = Object.entries(process.env).filter(([name]) => isOwn(name));
  return { ...Object.fromEntries(kept), PATH: [bin, ...PATH].join(':'), TERM: 'dumb' };
}
