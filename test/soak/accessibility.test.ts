import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { openPage } from '../support/page-browser.ts';
import { renderedPages, views } from '../support/rendered-pages.ts';

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
const RUN = `axe.run(document).then(({ violations }) =>
  violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' | ')))`;

describe('The accessibility checks of axe', function () {
  this.timeout(300_000);
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`The checks of axe find no fault on any page in the ${colorScheme} colour scheme`, async () => {
      const found: string[] = [];
      for (const { label, html } of renderedPages()) {
        const viewport = { width: 375, height: 812 };
        const page = await openPage(browser, views, html, { viewport, colorScheme, javaScriptEnabled: true });
        await page.evaluate(AXE);
        found.push(...(await page.evaluate<string[]>(RUN)).map((fault) => `${label}: ${fault}`));
        await page.context().close();
      }
      assert.deepEqual(found, []);
    });
  }
});
