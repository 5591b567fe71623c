import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { contentSecurityPolicy } from '../../src/http/response-headers.ts';
import { LOGO_PATH } from '../../src/http/logo-address.ts';
import type { Views } from '../../src/http/view.ts';

/**
 * Opens a page's HTML as the host would serve it, with the policy and the assets; any console error is thrown.
 * @param options.logo what the app's picture is: an SVG image
 */
export async function openPage(
  browser: Browser,
  views: Views,
  html: string,
  { logo = LOGO, ...options }: BrowserContextOptions & { logo?: string },
): Promise<Page> {
  const context = await browser.newContext({ javaScriptEnabled: false, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  await page.route('**', async (route) => {
    const path = new URL(route.request().url()).pathname;
    const asset = views.assets.find((each) => each.path === path);
    if (asset !== undefined) return route.fulfill({ contentType: asset.type, body: asset.body });
    if (path === LOGO_PATH) return route.fulfill({ contentType: 'image/svg+xml', body: logo });
    return route.fulfill({
      contentType: 'text/html',
      body: html,
      headers: { 'content-security-policy': contentSecurityPolicy([]) },
    });
  });
  await page.goto('https://login.example/');
  // The page takes the focus a moment after it has loaded; what is typed before goes nowhere.
  const focused = page.locator('[autofocus]');
  if ((await focused.count()) > 0) await page.locator('[autofocus]:focus').waitFor();
  if (complaints.length > 0) throw new Error(complaints.join('\n'));
  return page;
}

const LOGO =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 56 56"><rect width="56" height="56" fill="#f2a33a"/><circle cx="28" cy="28" r="13" fill="none" stroke="#fff" stroke-width="5"/></svg>';
