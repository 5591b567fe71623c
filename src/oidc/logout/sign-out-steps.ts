import { errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider';
import type { Middleware } from 'koa';
import { withParameters } from '../../http/response-headers.ts';
import { showAfterSignOut, type EngineStep } from '../internals.ts';
import { isIdToken } from '../requests/issued-jwt.ts';
import { Problem } from '../../http/problems.ts';
import { routes } from '../endpoints.ts';
import { limitParameters } from '../requests/parameter-limits.ts';
import { isSignOut } from './back-channel-logout.ts';

/**
 * Continues a sign-out whose ID token hint is for an app that no longer exists; the engine would refuse it. The person
 * is then asked as if there were no hint.
 */
export function askWithoutClient(check: EngineStep): EngineStep {
  return async (context, next) => {
    const progress = { isChecked: false };
    const proceed = async (): Promise<void> => {
      progress.isChecked = true;
      await next();
    };
    try {
      await check(context, proceed);
    } catch (error) {
      if (progress.isChecked || !(error instanceof errors.InvalidClient) || !dropHint(context)) throw error;
      await check(context, proceed);
    }
  };
}

/**
 * Ends the session if the person confirms, and changes nothing if they stay; the engine would then revoke the app's
 * grant. After a sign-out, the redirect keeps the query of the registered URI, which the engine would re-encode.
 */
export function endOrStay(engine: EngineStep): EngineStep {
  return async (context, next) => {
    const { params, session } = context.oidc;
    if (params?.['logout'] === undefined) {
      await showAfterSignOut(context);
      return;
    }
    const { postLogoutRedirectUri: uri, state } = session?.state ?? {};
    await engine(context, next);
    if (typeof uri === 'string')
      context.set('Location', withParameters(uri, { state: typeof state === 'string' ? state : undefined }));
  };
}

/**
 * Removes the hint of a client that no longer exists. The server may be unable to verify its signature, but then asks
 * the same question as without a hint. @returns whether there was a hint that claims to be an ID token of this server
 */
function dropHint({ oidc: { entities, params, provider } }: KoaContextWithOIDC): boolean {
  const hint = entities.IdTokenHint;
  if (params === undefined || hint === undefined) return false;
  const { aud, iss } = hint.payload;
  if (iss !== provider.issuer || !isIdToken(hint)) return false;
  Object.assign(entities, { IdTokenHint: undefined });
  params['id_token_hint'] = undefined;
  if (params['client_id'] === aud) params['client_id'] = undefined;
  return true;
}

const SIGN_OUT = new RegExp(`^${routes.end_session}/?$`, 'i');

/** Limits the parameters of a sign-out. The engine has no hook for them, and stores `state` in the session. */
export const limitSignOuts: Middleware = (context, next) => {
  if (SIGN_OUT.test(context.path)) limitQuery(context.query);
  return next();
};

function limitQuery(query: Readonly<Record<string, unknown>>): void {
  try {
    limitParameters(query);
  } catch (error) {
    if (!(error instanceof errors.InvalidRequest)) throw error;
    throw new Problem('body-too-large', error.error_description ?? error.message);
  }
}

/**
 * Skips unusable apps at a sign-out. The engine looks up every app of the session. A single app with invalid metadata
 * would make the sign-out fail, and the person would stay signed in.
 */
export function passOverUnusable(
  engine: Provider['Client']['find'],
  { provider }: { provider: Provider },
): Provider['Client']['find'] {
  return async (id) => {
    try {
      return await engine.call(provider.Client, id);
    } catch (error) {
      if (isSignOut() && error instanceof errors.InvalidClientMetadata) return undefined;
      throw error;
    }
  };
}
