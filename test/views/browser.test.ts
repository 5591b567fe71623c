import assert from 'node:assert/strict';
import type { Browser, Page } from 'playwright-core';
import { skeletonOf } from '../support/html.ts';
import { launchChromium } from '../support/chromium.ts';
import { openPage } from '../support/page-browser.ts';
import { pageSamples } from '../support/page-samples.ts';
import { pageNames, views } from '../support/rendered-pages.ts';
import { replaceTexts } from '../support/replace-texts.ts';

const PHONE = { viewport: { width: 375, height: 812 } };
const NARROW = { viewport: { width: 320, height: 640 } };
const NASTY = `Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamte"'><script>alert(1)</script><b style="`;

const ELEMENTS = `[...document.querySelectorAll('*')]
  .map((element) => [element.localName, ...element.getAttributeNames()].join(' '))`;
const FOCUS_RING = `parseFloat(getComputedStyle(document.activeElement).outlineWidth)`;

describe('The pages in Chromium, under the strict content security policy', function () {
  this.timeout(60_000);
  let browser: Browser;
  let page: Page;

  before(async () => {
    browser = await launchChromium();
  });

  afterEach(() => page.context().close());

  after(() => browser.close());

  for (const name of pageNames()) {
    it(`The page ${name} fits into 320 pixels and keeps its elements, whatever its texts contain`, async () => {
      const data = pageSamples[name].full;
      const nasty = replaceTexts(data, (key, text) => (/(uri|url|action)$/i.test(key) ? text : NASTY));
      page = await openPage(browser, views, views.render(name, nasty), NARROW);
      assert.equal(await page.evaluate<number>('document.documentElement.scrollWidth'), 320);
      assert.deepEqual(await page.evaluate<string[]>(ELEMENTS), skeletonOf(views.render(name, data)));
    });

    it(`Each touch target of the page ${name} is at least 44 pixels high`, async () => {
      const html = views.render(name, pageSamples[name].full);
      page = await openPage(browser, views, html, { ...PHONE, javaScriptEnabled: true });
      for (const target of await page.locator('button, .button, .row, .check, .field input').all()) {
        const { height } = (await target.boundingBox()) ?? { height: 0 };
        assert.ok(height >= 44, `${await target.innerText()} (${await target.getAttribute('id')}): ${height} pixels`);
      }
    });
  }

  it('The Tab key moves through the sign-in page in reading order, with a visible focus ring', async () => {
    page = await openPage(browser, views, views.render('sign-in', pageSamples['sign-in'].minimal), PHONE);
    const visited: string[] = [];
    for (let stop = 0; stop < 5; stop += 1) {
      const focus = page.locator(':focus');
      visited.push((await focus.getAttribute('id')) ?? (await focus.innerText()));
      assert.equal(await page.evaluate<number>(FOCUS_RING), 3);
      await page.keyboard.press('Tab');
    }
    assert.deepEqual(visited, ['email', 'password', 'remember', 'Sign in', 'Create an account']);
  });

  it('The Enter key submits the sign-in form', async () => {
    page = await openPage(browser, views, views.render('sign-in', pageSamples['sign-in'].minimal), PHONE);
    await page.keyboard.type('alice@example.com');
    await page.keyboard.press('Tab');
    await page.keyboard.type('a password');
    const posted = page.waitForRequest((request) => request.method() === 'POST');
    await page.keyboard.press('Enter');
    assert.equal((await posted).postData(), 'csrf=f3Kc0XhYw7&email=alice%40example.com&password=a+password');
  });

  it('The sign-up page ties each error to its field and announces it', async () => {
    page = await openPage(browser, views, views.render('sign-up', pageSamples['sign-up'].full), PHONE);
    assert.equal(await page.getByRole('alert').innerText(), 'The account was not created.');
    const password = page.getByLabel('Password');
    assert.equal(await password.getAttribute('aria-invalid'), 'true');
    const [hint, error] = (await password.getAttribute('aria-describedby'))?.split(' ') ?? [];
    assert.match(await page.locator(`#${hint}`).innerText(), /^At least 15 characters\./);
    assert.match(await page.locator(`#${error}`).innerText(), /^This password is too common\./);
  });

  it('The content security policy blocks inline styles and scripts', async () => {
    for (const html of ['<p style="color: red">x</p>', '<script>alert(1)</script>', '<p onclick="alert(1)">x</p>']) {
      const opened = openPage(browser, views, html, { ...PHONE, javaScriptEnabled: true });
      await assert.rejects(opened, /Content Security Policy/);
    }
  });
});
