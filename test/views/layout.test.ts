import assert from 'node:assert/strict';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import type { PageData, PageName } from '../../src/http/pages.ts';
import { launchChromium } from '../support/chromium.ts';
import { openPage } from '../support/page-browser.ts';
import { pageSamples } from '../support/page-samples.ts';
import { views } from '../support/rendered-pages.ts';
import { until } from '../support/until.ts';

const PHONE = { viewport: { width: 375, height: 812 } };
const NARROW = { viewport: { width: 320, height: 640 } };
const LONG = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft for the Very Long Names';
const RIGHT_TO_LEFT = 'مؤسسة الأرشيف الوطني';

/** Lines that an element's own words take, those of the elements in it left out. */
const LINES_OF_WORDS = `(element) => {
  const range = document.createRange();
  range.selectNodeContents([...element.childNodes].find((node) => node.nodeType === Node.TEXT_NODE));
  return range.getClientRects().length;
}`;

/** The text of a title, line by line. */
const LINES = `(() => {
  const text = document.querySelector('h1').firstChild;
  const lines = [];
  for (let at = 0, last; at < text.length; at += 1) {
    const range = document.createRange();
    range.setStart(text, at);
    range.setEnd(text, at + 1);
    const { top } = range.getBoundingClientRect();
    if (top !== last && range.toString().trim() !== '') lines.push('');
    if (lines.length > 0) lines[lines.length - 1] += range.toString();
    last = top;
  }
  return lines.map((line) => line.trim());
})()`;

const LEFT_EDGE_OF_WORDS = `(element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  return range.getBoundingClientRect().left;
}`;

describe('The layout of the pages in Chromium', function () {
  this.timeout(60_000);
  let browser: Browser;
  let page: Page;

  before(async () => {
    browser = await launchChromium();
  });
  afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
  after(() => browser.close());

  async function open<Name extends PageName>(
    name: Name,
    data: PageData[Name],
    options: BrowserContextOptions & { logo?: string } = PHONE,
  ): Promise<void> {
    page = await openPage(browser, views, views.render(name, data), options);
  }

  const inPage = (element: string, what: string): Promise<unknown> =>
    page.evaluate(`(${what})(document.querySelector('${element}'))`);

  it('A button with a long name keeps its own words in one line', async () => {
    await open('signed-out', { clientName: LONG, returnUrl: 'https://app.example/' });
    assert.equal(await inPage('.button', LINES_OF_WORDS), 1);
  });

  it('An email address in right-to-left letters starts at the left edge of the name above it', async () => {
    const { full } = pageSamples['choose-account'];
    const person = { name: 'Alice Liddell of the National Archive', email: RIGHT_TO_LEFT, value: 'acc_1' };
    await open('choose-account', { ...full, accounts: [person] });
    const left = (each: string): Promise<unknown> => inPage(each, LEFT_EDGE_OF_WORDS);
    assert.equal(await left('.person-email bdi'), await left('.person-name bdi'));
  });

  it('Two buttons stand side by side if their words fit', async () => {
    await open('consent', pageSamples.consent.full);
    const [deny, allow] = await page.locator('.pair .button').all();
    const [left, right] = [await deny?.boundingBox(), await allow?.boundingBox()];
    assert.equal(left?.y, right?.y);
    assert.equal(left?.width, right?.width);
  });

  for (const name of ['device-confirm', 'sign-out', 'consent', 'home'] as const) {
    it(`The two buttons of ${name} keep their words in one line if there is room`, async () => {
      for (const [width, scale] of [
        [320, 1],
        [375, 1],
        [640, 2],
      ] as const) {
        await open(name, pageSamples[name].full, { viewport: { width, height: 640 } });
        await page.evaluate(`document.documentElement.style.fontSize = '${scale * 16}px'`);
        assert.ok((await page.locator('.pair .button').count()) > 1);
        for (const button of await page.locator('.pair .button').all())
          assert.equal((await button.boundingBox())?.height, 48 * scale, await button.innerText());
      }
    });

    it(`The two buttons of ${name} stand below each other on a small phone with letters twice the size`, async () => {
      await open(name, pageSamples[name].full, NARROW);
      await page.evaluate(`document.documentElement.style.fontSize = '32px'`);
      const [first, second] = await page.locator('.pair .button').all();
      const [above, below] = [await first?.boundingBox(), await second?.boundingBox()];
      assert.ok(above && below && above.y + above.height < below.y);
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 320);
    });
  }

  it('A title never breaks at the hyphen of a word', async () => {
    for (const title of ['This sign-in has expired', 'A sign-in', 'No sign-in or sign-up', 'Something went wrong']) {
      await open('error', { ...pageSamples.error.minimal, title }, NARROW);
      assert.deepEqual((await page.evaluate<string[]>(LINES)).join(' ').replaceAll('\u2060', ''), title);
    }
  });

  it('The consent page sets a long app name in smaller letters', async () => {
    const size = async (clientName: string): Promise<number> => {
      await open('consent', { ...pageSamples.consent.full, clientName });
      return page.evaluate(`parseFloat(getComputedStyle(document.querySelector('h1')).fontSize)`);
    };
    assert.ok((await size(LONG)) < (await size('Photos')));
  });

  it('The consent page shows the initial of an app whose logo is broken, without a script', async () => {
    const shot = async (clientName: string, logo?: string): Promise<string> => {
      await open('consent', { ...pageSamples.consent.full, clientName }, { ...PHONE, ...(logo && { logo }) });
      await page.evaluate('Promise.allSettled([...document.images].map((image) => image.decode()))');
      return (await page.locator('.app-mark').screenshot()).toString('base64');
    };
    assert.ok((await shot('Photos', 'broken')) !== (await shot('Notes', 'broken')), 'the initials look the same');
    // A busy machine may paint the picture late.
    await until(async () => (await shot('Photos')) === (await shot('Notes')));
  });
});
