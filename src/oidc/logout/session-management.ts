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

/** The session that the response's cookie stands for; undefined if nobody is signed in. */
type State = Session | undefined;

/**
 * OpenID Connect Session Management 1.0. A cookie holds an opaque value for the browser's session. Each authorization
 * response gives the app a hash of that value. When the app asks, a script in a frame compares the two.
 */
export function sessionManagement(issuer: string, dependencies: Pick<BrowserStateDependencies, 'ring'>): Middleware {
  const key = browserStateKey(dependencies);
  return async (context, next) => {
    // Runs after the engine, because the session's expiry is known only once the engine has saved the session.
    await next();
    if (states.has(context)) setCookie(context, issuer, states.get(context), key);
  };
}

/** The state for the cookie of each current response. */
const states = new WeakMap<object, State>();

interface BrowserStateDependencies {
  config: Pick<Config, 'sessions'>;
  ring: Pick<RingSnapshot, 'derive'>;
  random: Random;
}

function browserStateKey({ ring }: Pick<BrowserStateDependencies, 'ring'>): Buffer {
  return ring.derive('browser state');
}

/** Returns the listener if `sessions.session_management` is on. */
function ifSessionManagementIsOn<Listener>(listener: (dependencies: BrowserStateDependencies) => Listener) {
  return (_engine: unknown, dependencies: BrowserStateDependencies): Listener | undefined =>
    dependencies.config.sessions.session_management ? listener(dependencies) : undefined;
}

/** Records that nobody is signed in. Because of `endOrStay`, the engine reports only the end of a whole session. */
export const watchSignOut = ifSessionManagementIsOn(() => (context: KoaContextWithOIDC): void => {
  states.set(context, undefined);
});

/** Records the session of a request that ends in an error. */
export const watchErrors = ifSessionManagementIsOn(() => noteSession);

/** Adds `session_state` to an authorization response (§2). */
export const watchAnswers = ifSessionManagementIsOn((dependencies) => {
  const { random } = dependencies;
  const key = browserStateKey(dependencies);
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

/**
 * Returns an opaque value for a session and its account. Nobody can derive the session from it, or relate two values.
 */
function browserState(key: Buffer, { uid, accountId = '' }: Session): string {
  return hmacSha256(key, `${uid} ${accountId}`);
}

/**
 * @returns `session_state` (§2); undefined unless the request has the scope `openid` and a redirect URI with a web
 * origin
 */
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

/**
 * Sets or clears the cookie that the script in the frame reads. With TLS, the frame may be on any site. Without TLS,
 * browsers send the cookie only on the server's own site.
 */
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
 * Origins that may frame the page. The page does not know which app frames it, so it allows every origin that an app
 * can have. Other sites learn nothing: the answer `unchanged` requires a `session_state` for the asking origin.
 */
const FRAME_ANCESTORS = 'https: http://localhost:* http://127.0.0.1:*';

/** Serves the OP iframe (§3.2). */
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
