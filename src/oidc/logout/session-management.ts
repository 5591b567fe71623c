import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Context, Middleware } from 'koa';
import type { KoaContextWithOIDC, Session } from 'oidc-provider';
import type { Config } from '../../config/schema.ts';
import { route, unsecured, type Route } from '../../http/route.ts';
import { hmacSha256, sha256 } from '../../lib/hash.ts';
import type { RingSnapshot } from '../../keys/ring.ts';
import type { Random } from '../../lib/random.ts';

/** Path of the OP iframe. */
export const CHECK_SESSION = '/check-session';

/** The session that the response reveals to the browser; undefined if nobody is signed in. */
type State = Session | undefined;

/**
 * OpenID Connect Session Management 1.0. A cookie identifies the browser's session, each response gives the app its own
 * form of that, and a script in a frame compares the two when the app asks.
 */
export function sessionManagement(issuer: string, parts: Pick<Parts, 'ring'>): Middleware {
  const key = browserStateKey(parts);
  return async (context, next) => {
    // Runs after the engine, because the session's end is known once it is saved.
    await next();
    if (states.has(context)) setCookie(context, issuer, states.get(context), key);
  };
}

/** The states that current responses will reveal. */
const states = new WeakMap<object, State>();

interface Parts {
  config: Pick<Config, 'sessions'>;
  ring: Pick<RingSnapshot, 'derive'>;
  random: Random;
}

function browserStateKey({ ring }: Pick<Parts, 'ring'>): Buffer {
  return ring.derive('browser state');
}

/** Adds the listener if the setting is on. */
function whereOn<Listener>(listener: (parts: Parts) => Listener) {
  return (_engine: unknown, parts: Parts): Listener | undefined =>
    parts.config.sessions.session_management ? listener(parts) : undefined;
}

/** Records the end of a session. The engine reports it for a whole session only. */
export const watchSignOut = whereOn(() => (context: KoaContextWithOIDC): void => {
  states.set(context, undefined);
});

/** Records the session of a request that ends in an error. */
export const watchErrors = whereOn(() => noteSession);

/** Adds `session_state` to the answer of an authorization request (§2). */
export const watchAnswers = whereOn((parts) => {
  const { random } = parts;
  const key = browserStateKey(parts);
  return (context: KoaContextWithOIDC, answer: Record<string, unknown> | undefined): void => {
    noteSession(context);
    const state = sessionState(context, key, random);
    if (answer !== undefined && state !== undefined) answer['session_state'] = state;
  };
});

function noteSession(context: KoaContextWithOIDC): void {
  const { session } = context.oidc;
  if (session !== undefined) states.set(context, session.accountId === undefined ? undefined : session);
}

/** Returns an opaque name for a session: nobody can derive the session from it, or relate two names. */
function browserState(key: Buffer, { uid, accountId = '' }: Session): string {
  return hmacSha256(key, `${uid} ${accountId}`);
}

/** @returns `session_state` (§2) for a web app that signs people in */
function sessionState({ oidc }: KoaContextWithOIDC, key: Buffer, random: Random): string | undefined {
  const { client, session, params } = oidc;
  const redirect = params?.['redirect_uri'];
  if (client === undefined || session === undefined || typeof redirect !== 'string') return undefined;
  const { origin } = new URL(redirect);
  if (origin === 'null' || !oidc.requestParamScopes.has('openid')) return undefined;
  const salt = random.bytes(16).toString('base64url');
  return `${sha256(`${client.clientId} ${origin} ${browserState(key, session)} ${salt}`)}.${salt}`;
}

function isSecure(issuer: string): boolean {
  return issuer.startsWith('https:');
}

function cookieName(issuer: string): string {
  return isSecure(issuer) ? '__Host-opbs' : 'latchkey_opbs';
}

/** Readable by the script in a frame on any site; without TLS, browsers allow it on the server's own site only. */
function setCookie(context: Context, issuer: string, session: State, key: Buffer): void {
  const secure = isSecure(issuer);
  const ends = session === undefined || session.transient ? {} : { expires: new Date(session.exp * 1000) };
  context.cookies.set(cookieName(issuer), session === undefined ? null : browserState(key, session), {
    httpOnly: false,
    secure,
    sameSite: secure ? 'none' : 'lax',
    signed: false,
    overwrite: true,
    ...ends,
  });
}

/**
 * The page does not know which app frames it, so every possible app origin may. It reveals nothing to others: only the
 * holder of a `session_state` for its own origin gets more than `changed`.
 */
const FRAME_ANCESTORS = 'https: http://localhost:* http://127.0.0.1:*';

/** The OP iframe (§3.2). */
export function checkSessionRoute(issuer: string): Route {
  const script = readFileSync(new URL('check-session.js', import.meta.url), 'utf8');
  const policy = [
    "default-src 'none'",
    `script-src 'sha256-${hash('sha256', script, 'base64')}'`,
    "base-uri 'none'",
    "form-action 'none'",
    `frame-ancestors ${FRAME_ANCESTORS}`,
  ].join(';');
  const page = `<!doctype html><title>Session</title><script data-cookie="${cookieName(issuer)}">${script}</script>`;
  return route('GET', CHECK_SESSION, unsecured, (context) => {
    context.remove('X-Frame-Options');
    context.set('Content-Security-Policy', policy);
    context.set('Cache-Control', 'public, max-age=3600');
    context.type = 'html';
    context.body = page;
  });
}
