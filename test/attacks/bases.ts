import { Browser, formOf } from '../support/browser.ts';
import { ALICE, authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import type { Base } from './requests.ts';
import type { Places } from './well-behaved.ts';

/** One valid request for each thing that can be asked of a demo server, by its name. */
export async function basesOf({ issuer, redirectUris }: Places): Promise<Record<string, Base>> {
  const browser = new Browser();
  const web = authorizationRequest(issuer, 'demo-web');
  const { body: tokens } = await exchangeCode(issuer, web, await signIn(browser, web));
  const person = new Browser();
  const { action, hidden } = formOf(await person.visit(authorizationRequest(issuer).url));
  const cookies = { signedIn: cookieOf(browser, '/'), signingIn: cookieOf(person, new URL(action).pathname) };
  const request = Object.entries(Object.fromEntries(new URL(authorizationRequest(issuer).url).searchParams));
  const pushed = Object.entries(Object.fromEntries(new URL(web.url).searchParams));
  const access = String(tokens['access_token']);
  const wrong = basic('demo-web:not-the-secret');
  const code = [
    ['grant_type', 'authorization_code'],
    ['code', 'never-issued'],
    ['redirect_uri', web.redirectUri],
  ] as const;
  const end = [
    ['client_id', 'demo-notes'],
    ['post_logout_redirect_uri', redirectUris[2] ?? ''],
  ] as const;
  const form = [
    ['email', ALICE.email],
    ['password', 'wrong'],
    ['csrf', hidden['csrf'] ?? ''],
  ] as const;
  const path = new URL(action).pathname;
  const signedIn = [`Cookie: ${cookies.signedIn}`];
  const signingIn = [`Cookie: ${cookies.signingIn}`];
  return {
    'GET /authorize': { method: 'GET', path: '/authorize', parameters: request },
    'GET /authorize of somebody signed in': {
      method: 'GET',
      path: '/authorize',
      parameters: request,
      headers: signedIn,
    },
    'POST /authorize': { method: 'POST', path: '/authorize', parameters: request },
    'POST /par': { method: 'POST', path: '/par', parameters: pushed, headers: [basic('demo-web:demo-web-secret')] },
    'POST /token for a code': {
      method: 'POST',
      path: '/token',
      parameters: code,
      headers: [basic('demo-web:demo-web-secret')],
    },
    'POST /token with a wrong secret': {
      method: 'POST',
      path: '/token',
      parameters: [['grant_type', 'client_credentials']],
      headers: [wrong],
    },
    'POST /token for a machine': {
      method: 'POST',
      path: '/token',
      parameters: [
        ['grant_type', 'client_credentials'],
        ['scope', 'notes:read'],
        ['client_id', 'demo-service'],
        ['client_secret', 'not the secret'],
      ],
    },
    'POST /introspect with a wrong secret': {
      method: 'POST',
      path: '/introspect',
      parameters: [['token', access]],
      headers: [wrong],
    },
    'POST /introspect': {
      method: 'POST',
      path: '/introspect',
      parameters: [['token', 'unknown']],
      headers: [basic('demo-web:demo-web-secret')],
    },
    'POST /revoke with a wrong secret': {
      method: 'POST',
      path: '/revoke',
      parameters: [['token', access]],
      headers: [wrong],
    },
    'POST /revoke': {
      method: 'POST',
      path: '/revoke',
      parameters: [['token', 'unknown']],
      headers: [basic('demo-web:demo-web-secret')],
    },
    'GET /userinfo': { method: 'GET', path: '/userinfo', parameters: [], headers: ['Authorization: Bearer unknown'] },
    'POST /userinfo': { method: 'POST', path: '/userinfo', parameters: [['access_token', 'unknown']] },
    'GET /logout': { method: 'GET', path: '/logout', parameters: end, headers: signedIn },
    'POST /logout': { method: 'POST', path: '/logout', parameters: end },
    'POST /logout/confirm': {
      method: 'POST',
      path: '/logout/confirm',
      parameters: [
        ['xsrf', 'x'],
        ['logout', 'yes'],
      ],
      headers: signedIn,
    },
    'GET /logout/success': { method: 'GET', path: '/logout/success', parameters: [['client_id', 'demo-notes']] },
    'GET /interaction/:uid': {
      method: 'GET',
      path: path.replace('/sign-in', ''),
      parameters: [],
      headers: signingIn,
    },
    'POST /interaction/:uid/sign-in': { method: 'POST', path, parameters: form, headers: signingIn },
    'POST /interaction/:uid/sign-up': {
      method: 'POST',
      path: path.replace('sign-in', 'sign-up'),
      parameters: [
        ['name', 'M'],
        ['email', 'none'],
        ['password', 'x'],
        ['csrf', hidden['csrf'] ?? ''],
      ],
      headers: signingIn,
    },
    'POST /interaction/:uid/consent': {
      method: 'POST',
      path: path.replace('sign-in', 'consent'),
      parameters: [
        ['decision', 'allow'],
        ['csrf', hidden['csrf'] ?? ''],
      ],
      headers: signingIn,
    },
    'POST /interaction/:uid/account': {
      method: 'POST',
      path: path.replace('sign-in', 'account'),
      parameters: [
        ['account', 'x'],
        ['csrf', hidden['csrf'] ?? ''],
      ],
      headers: signingIn,
    },
    'POST /interaction/:uid of nobody': { method: 'POST', path: '/interaction/unknown/sign-in', parameters: form },
    'GET /authorize/:uid': { method: 'GET', path: '/authorize/unknown', parameters: [] },
    'GET /': { method: 'GET', path: '/', parameters: [], headers: signedIn },
    'GET /jwks': { method: 'GET', path: '/jwks', parameters: [] },
    'GET /.well-known/openid-configuration': {
      method: 'GET',
      path: '/.well-known/openid-configuration',
      parameters: [],
    },
    'GET /healthz': { method: 'GET', path: '/healthz', parameters: [] },
  };
}

function basic(credentials: string): string {
  return `Authorization: Basic ${Buffer.from(credentials).toString('base64')}`;
}

function cookieOf(browser: Browser, path: string): string {
  const sent = [...browser.cookies].filter(([, cookie]) => path.startsWith(cookie.path));
  return sent.map(([name, { value }]) => `${name}=${value}`).join('; ');
}
