import assert from 'node:assert/strict';
import { Browser, formOf } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { people, SECRET } from './config.ts';
import type { Load, Request } from './load.ts';

/** One line of the table: a kind of request, and what the server needs to have seen before it. */
export interface Row {
  readonly name: string;
  readonly hashesPassword?: boolean;
  /** Makes ready a load of about so many requests, where each can be sent once only. */
  prepare(bench: Bench, amount: number): Load | Promise<Load>;
}

export interface Bench {
  readonly issuer: string;
  /** Browsers of people who are signed in. */
  readonly browsers: readonly Browser[];
}

const CONNECTIONS = 32;
/** Sign-ins wait for a CPU each; more at once only wait longer. */
const SIGN_INS = 4;
const SCOPE = 'openid profile email notes:read';
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

export const rows: readonly Row[] = [
  { name: 'client credentials ES256', prepare: () => same(token('service-ES256')) },
  { name: 'client credentials RS256', prepare: () => same(token('service-RS256')) },
  { name: 'code exchange', prepare: codeExchanges },
  { name: 'refresh', prepare: refreshes },
  {
    name: 'userinfo',
    async prepare(bench) {
      return same(get('/userinfo', { authorization: `Bearer ${await opaqueToken(bench)}` }));
    },
  },
  {
    name: 'introspection',
    async prepare(bench) {
      const fields = { token: await opaqueToken(bench), token_type_hint: 'access_token' };
      return same(post('/introspect', fields, { authorization: basic('gateway') }));
    },
  },
  { name: '/jwks', prepare: () => same(get('/jwks')) },
  { name: 'discovery', prepare: () => same(get('/.well-known/openid-configuration')) },
  { name: 'sign-in', hashesPassword: true, prepare: signIns },
];

/** Two browsers of each person, signed in at the app. */
export async function signPeopleIn(issuer: string): Promise<Browser[]> {
  const browsers: Browser[] = [];
  for (const person of [...people, ...people]) {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(issuer, 'demo-notes', { scope: SCOPE }), person);
    browsers.push(browser);
  }
  return browsers;
}

function same(request: Request): Load {
  return { connections: CONNECTIONS, same: request };
}

function token(client: string): Request {
  return post('/token', { grant_type: 'client_credentials' }, { authorization: basic(client) });
}

/** Each browser gets its codes one by one, all browsers at once. */
async function codeExchanges({ issuer, browsers }: Bench, amount: number): Promise<Load> {
  const each = Math.ceil(amount / browsers.length);
  const exchanges = browsers.map(async (browser) => {
    const requests: Request[] = [];
    while (requests.length < each) requests.push(await codeExchange(issuer, browser));
    return requests;
  });
  return { connections: CONNECTIONS, once: (await Promise.all(exchanges)).flat().slice(0, amount) };
}

async function codeExchange(issuer: string, browser: Browser): Promise<Request> {
  const request = authorizationRequest(issuer, 'demo-notes', { scope: SCOPE });
  const callback = await codeOf(browser, request.url);
  return post('/token', {
    grant_type: 'authorization_code',
    client_id: 'demo-notes',
    code: callback.searchParams.get('code') ?? '',
    redirect_uri: request.redirectUri,
    code_verifier: request.verifier,
  });
}

/** Every connection refreshes a family of its own, with the token that it got the last time. */
async function refreshes(bench: Bench): Promise<Load> {
  const first = await Promise.all(
    Array.from({ length: CONNECTIONS }, async (_, at) => refreshOf(JSON.stringify(await tokens(bench, SCOPE, at)))),
  );
  return { connections: CONNECTIONS, first, next: refreshOf };
}

function refreshOf(answer: string): Request {
  const { refresh_token } = JSON.parse(answer) as { refresh_token: string };
  return post('/token', { grant_type: 'refresh_token', client_id: 'demo-notes', refresh_token });
}

/** A token for no API is one for `/userinfo`. */
async function opaqueToken(bench: Bench): Promise<string> {
  return String((await tokens(bench, 'openid profile email', 0))['access_token']);
}

async function tokens({ issuer, browsers }: Bench, scope: string, at: number): Promise<Record<string, unknown>> {
  const request = authorizationRequest(issuer, 'demo-notes', { scope });
  const { status, body } = await exchangeCode(issuer, request, await codeOf(browserAt(browsers, at), request.url));
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

/** The forms of people who have typed their password: the pages before it are not measured. */
async function signIns({ issuer }: Bench, amount: number): Promise<Load> {
  const once: Request[] = [];
  for (let at = 0; at < amount; at += 1) {
    const browser = new Browser();
    const page = await browser.visit(authorizationRequest(issuer, 'demo-notes', { scope: SCOPE }).url);
    const { action, hidden } = formOf(page);
    const path = new URL(action).pathname;
    const person = people[at % people.length];
    once.push(post(path, { ...hidden, ...person }, { cookie: browser.cookieHeader(path), accept: 'text/html' }));
  }
  return { connections: SIGN_INS, once };
}

async function codeOf(browser: Browser, url: string): Promise<URL> {
  const response = await browser.request(url);
  await response.arrayBuffer();
  const callback = new URL(response.headers.get('location') ?? '', url);
  assert.ok(callback.searchParams.has('code'), `no code but ${response.status} to ${callback.href}`);
  return callback;
}

function browserAt(browsers: readonly Browser[], at: number): Browser {
  const browser = browsers[at % browsers.length];
  assert.ok(browser !== undefined, 'nobody is signed in');
  return browser;
}

function get(path: string, headers: Record<string, string> = {}): Request {
  return { method: 'GET', path, headers, body: '' };
}

function post(path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Request {
  return { method: 'POST', path, headers: { ...FORM, ...headers }, body: new URLSearchParams(fields).toString() };
}

function basic(client: string): string {
  return `Basic ${Buffer.from(`${encodeURIComponent(client)}:${encodeURIComponent(SECRET)}`).toString('base64')}`;
}
