import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser as Chromium, BrowserContextOptions } from 'playwright-core';
import type { Config } from '../../src/config/schema.ts';
import { sha256 } from '../../src/lib/hash.ts';
import { Browser } from './browser.ts';
import { ALICE, authorizationRequest, signIn } from './flows.ts';
import { openPage } from './page-browser.ts';
import { views } from './rendered-pages.ts';
import { startTestServer } from './server.ts';

const DIRECTORY = join(import.meta.dirname, '../../docs/pictures');
const PICTURE = join(DIRECTORY, 'pages.png');
const PHOTOS = 'https://photos.example/callback';
const WORDS = join(DIRECTORY, 'pages.txt');

/** A page of the README's picture, as the running server answers with it. */
interface PicturedPage {
  readonly html: string;
  readonly colorScheme: 'light' | 'dark';
}

/** The demo, with an app that asks for consent and has an address which does not change from test to test. */
function withPhotos(config: Config): Config {
  const clients = config.clients.map((client) =>
    client.client_id === 'demo-web' ? { ...client, client_name: 'Photos', redirect_uris: [PHOTOS] } : client,
  );
  return { ...config, clients, branding: { ...config.branding, name: 'Latchkey' } };
}

/** The pages that the README shows, from left to right, each asked of a server with the demo's apps and accounts. */
async function picturedPages(): Promise<PicturedPage[]> {
  const server = await startTestServer({ change: withPhotos });
  try {
    const [browser, { issuer }] = [new Browser(), server];
    const page = async (clientId: string, parameters = {}): Promise<string> =>
      (await browser.visit(authorizationRequest(issuer, clientId, parameters).url)).html;
    const form = await page('demo-notes');
    await signIn(browser, authorizationRequest(issuer), ALICE);
    return [
      { html: form, colorScheme: 'light' },
      {
        html: await page('demo-web', { redirect_uri: PHOTOS, scope: 'openid profile notes:read' }),
        colorScheme: 'light',
      },
      { html: await page('demo-notes', { prompt: 'select_account' }), colorScheme: 'dark' },
      { html: (await browser.visit(`${issuer}/logout`)).html, colorScheme: 'dark' },
    ];
  } finally {
    await server.close();
  }
}

/** The text that has to stand beside the picture: its hash, and the words of its pages. */
export async function picturedWords(): Promise<string> {
  return inWords(await picturedPages());
}

/** The text that stands there. */
export function keptWords(): string {
  return readFileSync(WORDS, 'utf8');
}

/** Draws the picture anew, with its text beside it. */
export async function drawPicture(chromium: Chromium): Promise<void> {
  const pages = await picturedPages();
  const phone: BrowserContextOptions = { viewport: { width: 375, height: 640 } };
  const frames: string[] = [];
  for (const { html, colorScheme } of pages) {
    const page = await openPage(chromium, views, html, { ...phone, colorScheme, javaScriptEnabled: true });
    frames.push((await page.screenshot()).toString('base64'));
    await page.context().close();
  }
  const sheet = await chromium.newPage({ viewport: { width: 1053, height: 449 } });
  const images = frames.map((frame) => `<img src="data:image/png;base64,${frame}" width="250" alt="">`);
  await sheet.setContent(
    `<body style="margin:0;padding:11px;display:flex;gap:10px;background:#e0e3dd">${images.join('')}</body>`,
  );
  await sheet.screenshot({ path: PICTURE });
  writeFileSync(WORDS, inWords(pages));
}

function inWords(pages: readonly PicturedPage[]): string {
  const texts = pages.map(({ html }) => (/<main>([^]*)<\/main>/.exec(html)?.[1] ?? '').replaceAll(/<[^>]*>/g, ' '));
  const words = texts.map((text) =>
    text
      .replaceAll(/&nbsp;|\s+/g, ' ')
      .replaceAll(/ (?=[.,?])/g, '')
      .trim(),
  );
  return [`pages.png ${sha256(readFileSync(PICTURE, 'base64'))}`, ...words].join('\n\n') + '\n';
}
