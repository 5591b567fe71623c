import type { Context } from 'koa';
import { sha256 } from '../lib/hash.ts';
import { secretToken, type Random } from '../lib/random.ts';

/** Seconds after the latest form or interaction bound to the browser. */
const LIFE = 86_400;
/** Most cookies to read. */
const MOST = 32;

interface BrowserCookie {
  readonly name: string;
  readonly value: string;
}

type Request = Pick<Context, 'cookies' | 'get' | 'secure' | 'state'>;

/**
 * Random values that bind interactions and forms to the browser that got them. Only this host can set a `__Host-`
 * cookie; without TLS a neighbour could. A new browser may send several requests at once, and each sets a cookie, so
 * every cookie has its own name and none overwrites another.
 */
function cookiesOf(context: Request): BrowserCookie[] {
  const pair = new RegExp(`(?:^|; *)(${prefix(context)}[\\da-f]{8})=([\\w-]{43})(?=;|$)`, 'g');
  const found = [...context.get('cookie').matchAll(pair)].slice(0, MOST);
  return found.map(([, name = '', value = '']) => ({ name, value }));
}

function prefix({ secure }: Request): string {
  return secure ? '__Host-browser-' : 'latchkey_browser_';
}

/** Returns the values in this request's cookies. */
export function browsersOf(context: Request): string[] {
  return cookiesOf(context).map(({ value }) => value);
}

/**
 * Returns the value to bind this answer to: the browser's existing one, or a new one. @param life time in seconds for
 * which the browser must keep it
 */
export function browserFor(context: Request, random: Random, life = 0): string {
  const known = (context.state['browser'] as BrowserCookie | undefined) ?? cookiesOf(context)[0];
  const cookie = known ?? {
    name: prefix(context) + random.bytes(4).toString('hex'),
    value: secretToken(random),
  };
  context.state['browser'] = cookie;
  context.cookies.set(cookie.name, cookie.value, {
    signed: false,
    httpOnly: true,
    sameSite: 'lax',
    secure: context.secure,
    path: '/',
    maxAge: Math.max(LIFE, life) * 1000,
    overwrite: true,
  });
  return cookie.value;
}

/** Hashes a value for storage in a record. */
export function browserHash(value: string): string {
  return sha256(value);
}

/** Returns this request's value that matches a record's hash; `undefined` in any other browser. */
export function matchingBrowser(context: Request, hash: string | undefined): string | undefined {
  return browsersOf(context).find((value) => browserHash(value) === hash);
}

/** Cookie that identifies a known device. It grants no access and needs no signature. */
const deviceCookie = (context: Context): string => (context.secure ? '__Host-device' : 'latchkey_device');

export function deviceToken(context: Context): string | undefined {
  return context.cookies.get(deviceCookie(context), { signed: false });
}

/** @param life in seconds */
export function rememberDevice(context: Context, token: string, life: number): void {
  context.cookies.set(deviceCookie(context), token, {
    signed: false,
    httpOnly: true,
    sameSite: 'lax',
    secure: context.secure,
    maxAge: life * 1000,
    overwrite: true,
  });
}
