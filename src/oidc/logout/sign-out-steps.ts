import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import { withParameters } from '../../http/redirect-uri.ts';
import { showAfterSignOut, type EngineStep } from '../internals.ts';
import { isIdToken } from '../requests/issued-jwt.ts';

/** Asks the person about a sign-out even if the app that sent them no longer exists; the engine would refuse. */
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
 * Ends a session, or nothing if the person stays; the engine would end the app's grants. The registered address keeps
 * its own query, which the engine would re-encode.
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
 * Ignores a hint of a removed client. Its signature may be unverifiable, but the question is then the same as without a
 * hint. @returns whether there was a hint that claims to be an ID token of this server
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
