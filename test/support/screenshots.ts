/** Pictures of every page, to be looked at: `npm run screenshots DIRECTORY`. The README's own: `npm run screenshots readme`. */
import { join } from 'node:path';
import type { BrowserContextOptions } from 'playwright-core';
import { launchChromium } from './chromium.ts';
import { openPage } from './page-browser.ts';
import { pageSamples } from './page-samples.ts';
import { pageNames, renderedPages, views } from './rendered-pages.ts';
import { drawPicture } from './readme-picture.ts';
import { replaceTexts } from './replace-texts.ts';

const PHONE = { width: 375, height: 812 };
const DESKTOP = { width: 1280, height: 800 };

/** Names and texts of others, as they come. */
const LONG = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft for the Very Long Names';
const RIGHT_TO_LEFT = 'مؤسسة الأرشيف الوطني';

interface Series {
  name: string;
  options: BrowserContextOptions;
  pages: () => { label: string; html: string }[];
}

/** Each page at its most, with every text of others replaced. */
function withNames(name: string): { label: string; html: string }[] {
  return pageNames().map((page) => {
    const data = replaceTexts(pageSamples[page].full, (key, text) => (isName(key) ? name : text));
    return { label: page, html: views.render(page, data) };
  });
}

function isName(key: string): boolean {
  return /name|email|description|message|value|browser|host|comesFrom/i.test(key);
}

const SERIES: readonly Series[] = [
  ...Object.entries({ phone: PHONE, desktop: DESKTOP }).flatMap(([size, viewport]) =>
    (['light', 'dark'] as const).map((colorScheme) => ({
      name: `${size}, ${colorScheme}`,
      options: { viewport, colorScheme },
      pages: renderedPages,
    })),
  ),
  { name: 'long names', options: { viewport: PHONE }, pages: () => withNames(LONG) },
  { name: 'right to left', options: { viewport: PHONE }, pages: () => withNames(RIGHT_TO_LEFT) },
  // A browser that is zoomed to 200 % has half as many pixels of CSS.
  {
    name: '200 %',
    options: { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 },
    pages: renderedPages,
  },
];

async function main(directory: string | undefined): Promise<void> {
  if (directory === undefined) throw new Error('name the directory that the pictures go to, or "readme"');
  await using browser = await launchChromium();
  if (directory === 'readme') {
    await drawPicture(browser);
    return;
  }
  for (const { name, options, pages } of SERIES) {
    for (const { label, html } of pages()) {
      const page = await openPage(browser, views, html, { ...options, javaScriptEnabled: true });
      await page.screenshot({ path: join(directory, `${label}, ${name}.png`), fullPage: true });
      await page.context().close();
    }
  }
}

await main(process.argv[2]);
