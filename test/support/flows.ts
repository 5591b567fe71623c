import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Browser, type Page } from './browser.ts';

/** The fields of the sign-in form. */
export type Person = Record<'email' | 'password', string> & { remember?: 'yes' };

export const ALICE: Person = { email: 'alice@example.com', password: 'latchkey-demo' };
export const ADMIN: Person = { email: 'admin@example.com', password: 'latchkey-demo' };

/** An authorization request that a demo app would make, with what is needed to go on from it. */
export interface AuthorizationRequest {
  readonly url: string;
  readonly redirectUri: string;
  readonly verifier: string;
  readonly clientId: string;
}

/** @param parameters go over the usual ones; an empty text leaves one out */
export function authorizationRequest(
  issuer: string,
  clientId = 'demo-notes',
  parameters: Record<string, string> = {},
): AuthorizationRequest {
  const offset = { 'demo-notes': 1, 'demo-photos': 2, 'demo-web': 4 }[clientId] ?? 1;
  const redirectUri =
    parameters['redirect_uri'] ?? `http://localhost:${Number(new URL(issuer).port) + offset}/callback`;
  const verifier = randomBytes(32).toString('base64url');
  const url = new URL('/authorize', issuer);
  const all: Record<string, string> = {
    client_id: clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid profile email',
    state: randomBytes(8).toString('hex'),
    nonce: randomBytes(8).toString('hex'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...parameters,
  };
  for (const [name, value] of Object.entries(all)) if (value !== '') url.searchParams.set(name, value);
  return { url: url.href, redirectUri, verifier, clientId };
}

/** Signs in at the page that an authorization request leads to, allows what is asked, and comes back with the answer. */
export async function signIn(browser: Browser, request: AuthorizationRequest, person: Person = ALICE): Promise<URL> {
  let page: Page = await browser.visit(request.url, {}, request.redirectUri);
  if (page.html.includes('type="password"')) page = await browser.submit(page, { ...person }, request.redirectUri);
  // Another person was signed in: the engine first has their session ended, by a form that a script would send.
  if (page.html.includes('name="xsrf"')) page = await browser.submit(page, {}, request.redirectUri);
  if (page.html.includes('value="allow"'))
    page = await browser.submit(page, { decision: 'allow' }, request.redirectUri);
  assert.ok(
    page.url.startsWith(request.redirectUri),
    `did not come back but to ${page.url} (${page.status}):\n${page.html}`,
  );
  return new URL(page.url);
}

/** What an authorization request is answered with at once, without any page. */
export async function answerAtOnce(browser: Browser, request: AuthorizationRequest): Promise<Record<string, string>> {
  const page = await browser.visit(request.url, {}, request.redirectUri);
  assert.ok(
    page.url.startsWith(request.redirectUri),
    `did not come back but to ${page.url} (${page.status}):\n${page.html}`,
  );
  return Object.fromEntries(new URL(page.url).searchParams);
}

export interface TokenAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly response: Response;
}

/** A request to the token endpoint; `basic` is `client_id:client_secret`. */
export async function tokenRequest(
  issuer: string,
  parameters: Record<string, string>,
  basic?: string,
): Promise<TokenAnswer> {
  const response = await fetch(new URL('/token', issuer), {
    method: 'POST',
    headers: basic === undefined ? {} : { authorization: `Basic ${Buffer.from(basic).toString('base64')}` },
    body: new URLSearchParams(parameters),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown>, response };
}

/** `basic` is what the client proves itself with; that of the demo is known. */
export function exchangeCode(
  issuer: string,
  request: AuthorizationRequest,
  callback: URL,
  basic = request.clientId === 'demo-web' ? 'demo-web:demo-web-secret' : undefined,
): Promise<TokenAnswer> {
  return tokenRequest(
    issuer,
    {
      grant_type: 'authorization_code',
      code: callback.searchParams.get('code') ?? '',
      redirect_uri: request.redirectUri,
      code_verifier: request.verifier,
      ...(basic === undefined ? { client_id: request.clientId } : {}),
    },
    basic,
  );
}

export function refresh(
  issuer: string,
  refreshToken: string | undefined,
  parameters: Record<string, string> = {},
): Promise<TokenAnswer> {
  const all = {
    grant_type: 'refresh_token',
    client_id: 'demo-notes',
    refresh_token: refreshToken ?? '',
    ...parameters,
  };
  return tokenRequest(issuer, all);
}

/** The whole code flow of a new person's browser. */
export async function tokensFor(
  issuer: string,
  options: { person?: Person; clientId?: string; parameters?: Record<string, string>; browser?: Browser } = {},
): Promise<Record<string, string>> {
  const { person = ALICE, browser = new Browser() } = options;
  const request = authorizationRequest(issuer, options.clientId, options.parameters);
  const answer = await exchangeCode(issuer, request, await signIn(browser, request, person));
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body as Record<string, string>;
}
