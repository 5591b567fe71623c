import type { Context } from 'koa';
import { sha256 } from '../lib/hash.ts';
import { secretToken, type Random } from '../lib/random.ts';

/** Minimum cookie lifetime in seconds. It starts again with each form or interaction that is bound to the browser. */
const LIFE = 86_400;
/** Maximum number of browser cookies that are read from one request. */
const MOST = 32;

interface BrowserCookie {
  readonly name: string;
  readonly value: string;
}

type Request = Pick<Context, 'cookies' | 'get' | 'secure' | 'state'>;

/**
 * Reads the cookies whose random values bind interactions and forms to one browser. Without TLS, other hosts of the
 * domain can set them too, because the name has no `__Host-` prefix. A new browser may send several requests at once.
 * Each response sets a cookie with a name of its own, so that none overwrites another.
 */
function cookiesOf(context: Request): BrowserCookie[] {
  const pair = new RegExp(`(?:^|; *)(${prefix(context)}[\\da-f]{8})=([\\w-]{43})(?=;|$)`, 'g');
  const found = [...context.get('cookie').matchAll(pair)].slice(0, MOST);
  return found.map(([, name = '', value = '']) => ({ name, value }));
}

function prefix({ secure }: Request): string {
  return secure ? '__Host-browser-' : 'latchkey_browser_';
}

/** Returns the browser values in this request's cookies. */
export function browsersOf(context: Request): string[] {
  return cookiesOf(context).map(({ value }) => value);
}

/**
 * Returns the browser's value, to which the caller binds a form or an interaction. A browser without a value gets one.
 * @param life minimum time in seconds for which the browser keeps the cookie
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

/** Hashes a browser's value for storage in a record. */
export function browserHash(value: string): string {
  return sha256(value);
}

/** Returns the browser value whose hash a record holds, or `undefined` if the request comes from another browser. */
export function matchingBrowser(context: Request, hash: string | undefined): string | undefined {
  return browsersOf(context).find((value) => browserHash(value) === hash);
}

/** Name of the cookie that identifies a known device. The cookie grants no access, so it needs no signature. */
const deviceCookie = (context: Context): string => (context.secure ? '__Host-device' : 'latchkey_device');

export function deviceToken(context: Context): string | undefined {
  return context.cookies.get(deviceCookie(context), { signed: false });
}

/** @param life cookie lifetime in seconds */
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
