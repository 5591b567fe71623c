import type { Context } from 'koa';
import { sha256 } from '../lib/hash.ts';
import { secretToken, type Random } from '../lib/random.ts';

/** Seconds since the last form or interaction that was tied to the browser. */
const LIFE = 86_400;
/** Cookies that are looked at, at most. */
const MOST = 32;

interface BrowserCookie {
  readonly name: string;
  readonly value: string;
}

type Request = Pick<Context, 'cookies' | 'get' | 'secure' | 'state'>;

/**
 * Random values that tie interactions and forms to the browser that they were shown to. Browsers let nobody but this very
 * host set a `__Host-` cookie; without TLS nothing keeps a neighbour from it. A browser without one may send several
 * requests at once, and each of them sets one: every value has a name of its own, so that none writes over another.
 */
function cookiesOf(context: Request): BrowserCookie[] {
  const pair = new RegExp(`(?:^|; *)(${prefix(context)}[\\da-f]{8})=([\\w-]{43})(?=;|$)`, 'g');
  const found = [...context.get('cookie').matchAll(pair)].slice(0, MOST);
  return found.map(([, name = '', value = '']) => ({ name, value }));
}

function prefix({ secure }: Request): string {
  return secure ? '__Host-browser-' : 'latchkey_browser_';
}

/** The values that this request's browser has sent. */
export function browsersOf(context: Request): string[] {
  return cookiesOf(context).map(({ value }) => value);
}

/**
 * The value to tie something to in this answer. The browser keeps the one that it has, or is given one.
 * @param life how long the browser must keep it, in seconds
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

/** The form in which a record names its browser. */
export function browserHash(value: string): string {
  return sha256(value);
}

/** The value by which this request comes from the browser that a record names; `undefined` for every other browser. */
export function matchingBrowser(context: Request, hash: string | undefined): string | undefined {
  return browsersOf(context).find((value) => browserHash(value) === hash);
}
