/** Pictures of every page, to be looked at: `node test/support/screenshots.ts DIRECTORY`. */
import { join } from 'node:path';
import { launchChromium } from './chromium.ts';
import { openPage } from './page-browser.ts';
import { renderedPages, views } from './rendered-pages.ts';

const SIZES = { phone: { width: 375, height: 812 }, desktop: { width: 1280, height: 800 } };
const SCHEMES = ['light', 'dark'] as const;

async function main(directory: string | undefined): Promise<void> {
  if (directory === undefined) throw new Error('name the directory that the pictures go to');
  await using browser = await launchChromium();
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of SCHEMES) {
      for (const { label, html } of renderedPages()) {
        const page = await openPage(browser, views, html, { viewport, colorScheme });
        await page.screenshot({ path: join(directory, `${label}, ${size}, ${colorScheme}.png`), fullPage: true });
        await page.context().close();
      }
    }
  }
}

await main(process.argv[2]);
