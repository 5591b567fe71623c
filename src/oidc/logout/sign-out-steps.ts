import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import { withParameters } from '../../http/redirect-uri.ts';
import { showAfterSignOut, type EngineStep } from '../internals.ts';
import { isIdToken } from '../requests/issued-jwt.ts';

/** Asks a person about a sign-out also when the app that leads them here is no more; the engine would refuse them. */
export function askWithoutClient(check: EngineStep): EngineStep {
  return async (context, next) => {
    const progress = { isChecked: false };
    const goOn = async (): Promise<void> => {
      progress.isChecked = true;
      await next();
    };
    try {
      await check(context, goOn);
    } catch (error) {
      if (progress.isChecked || !(error instanceof errors.InvalidClient) || !dropHint(context)) throw error;
      await check(context, goOn);
    }
  };
}

/**
 * Ends a session, or nothing for a person who stays: the engine would end what the app has. The registered address keeps
 * its own query, which the engine would write again.
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
 * Ignores the hint of a client that is no more. Its signature may be beyond checking, but the question is then the one
 * that a request without a hint leads to.
 * @returns whether there was a hint that says of itself that it is an ID token of this server
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
