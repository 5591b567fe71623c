import assert from 'node:assert/strict';
import { Browser, type Page } from '../support/browser.ts';
import {
  ALICE,
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  refresh,
  signIn,
  tokenRequest,
  type Person,
} from '../support/flows.ts';
import type { TwoNodes } from '../status/two-nodes.ts';

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0';
const SAFARI =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1';

/** A browser in which somebody has signed in to an app, with what the app got. */
export interface SignedInBrowser {
  browser: Browser;
  tokens: Record<string, string>;
}

/** Signs in to an app in a new browser. */
export async function inNewBrowser(
  issuer: string,
  options: { person?: Person; clientId?: string; on?: 'a phone' | 'a desk'; scope?: string; browser?: Browser } = {},
): Promise<SignedInBrowser> {
  const { person = ALICE, clientId, on = 'a desk', scope = 'openid notes:read' } = options;
  const browser = options.browser ?? new Browser({ 'user-agent': on === 'a phone' ? SAFARI : FIREFOX });
  const prompt = scope.includes('offline_access') ? 'consent' : '';
  const request = authorizationRequest(issuer, clientId, { scope, prompt });
  const { status, body } = await exchangeCode(issuer, request, await signIn(browser, request, person));
  assert.equal(status, 200, JSON.stringify(body));
  return { browser, tokens: body as Record<string, string> };
}

/** Whether the browser's session still lets an app in without a question, as the second node knows it. */
export async function isSignedIn(
  { issuer, origins: [, other] }: TwoNodes,
  { browser }: Pick<SignedInBrowser, 'browser'>,
): Promise<boolean> {
  const request = authorizationRequest(issuer, 'demo-notes', { prompt: 'none' });
  const answer = await answerAtOnce(browser, { ...request, url: request.url.replace(issuer, other) });
  assert.ok(answer['code'] !== undefined || answer['error'] === 'login_required', JSON.stringify(answer));
  return answer['code'] !== undefined;
}

/** Whether an app can still refresh; it goes on with what it got. */
export async function canRefresh(node: string, { tokens }: SignedInBrowser, clientId = 'demo-notes'): Promise<boolean> {
  const token = tokens['refresh_token'];
  assert.ok(token !== undefined);
  const { status, body } =
    clientId === 'demo-web'
      ? await tokenRequest(node, { grant_type: 'refresh_token', refresh_token: token }, 'demo-web:demo-web-secret')
      : await refresh(node, token, { client_id: clientId });
  assert.ok(status === 200 || body['error'] === 'invalid_grant', JSON.stringify(body));
  if (status === 200) tokens['refresh_token'] = String(body['refresh_token']);
  return status === 200;
}

/** The values of the buttons of a page, by their words. */
export function buttonsOf({ html }: Page): Map<string, string> {
  const found = html.matchAll(/<button class="button" name="(?:session|app)" value="([^"]*)">(.*?)<\/button>/g);
  return new Map([...found].map(([, value = '', words = '']) => [words.replaceAll(/<[^>]*>/g, ''), value]));
}

/** Presses a button of a page of the person's own, and then the one that confirms it. */
export async function confirmed(browser: Browser, page: Page, fields: Record<string, string>): Promise<Page> {
  return browser.submit(await browser.submit(page, fields), { confirm: 'yes' });
}

/** The words of a page, as they are read. */
export function wordsOf({ html }: Pick<Page, 'html'>): string {
  const main = /<main>([^]*)<\/main>/.exec(html)?.[1] ?? '';
  return main
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
