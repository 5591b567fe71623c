import { errors, type ClaimsParameter, type KoaContextWithOIDC } from 'oidc-provider';
import { HINTED } from '../storage/interaction-life.ts';

/** Authentication context classes, weakest first (NIST SP 800-63B, authenticator assurance levels). */
export const ACR_VALUES: readonly string[] = ['aal1'];

/**
 * Refuses a request for an essential `acr` that this server does not have, before anybody is asked for a password
 * (OpenID Connect Core §5.5.1.1).
 */
export function refuseUnknownAcr({ id_token: idToken }: ClaimsParameter): void {
  const { essential, value, values } = idToken?.['acr'] ?? {};
  if (essential !== true || (value === undefined && values === undefined)) return;
  const wanted = Array.isArray(values) ? (values as unknown[]) : [value];
  if (!wanted.some((one) => typeof one === 'string' && ACR_VALUES.includes(one)))
    throw new errors.UnmetAuthenticationRequirements('this server has none of the essential acr values');
}

/**
 * Loads the ID token hint again. The engine reads it when a request starts, but not when the request continues after a
 * sign-in.
 */
export async function loadHint(context: KoaContextWithOIDC): Promise<void> {
  const { client, entities, params, provider } = context.oidc;
  const sub: unknown = entities.Interaction?.prompt.details[HINTED];
  if (typeof sub === 'string' && entities.IdTokenHint === undefined)
    context.oidc.entity('IdTokenHint', { header: {}, payload: { sub } });
  const hint = params?.['id_token_hint'];
  if (client === undefined || typeof hint !== 'string' || entities.IdTokenHint !== undefined) return;
  try {
    context.oidc.entity('IdTokenHint', await provider.IdToken.validate(hint, client));
  } catch (cause) {
    throw new errors.InvalidRequest('could not validate id_token_hint', undefined, { cause });
  }
}

/** Refuses the request if the person has just signed in, because another prompt would not meet the demand either. */
export function refuseIfSignedIn({ oidc }: KoaContextWithOIDC, demand: 'acr' | 'person'): void {
  if (oidc.result?.login === undefined) return;
  if (demand === 'acr') throw new errors.UnmetAuthenticationRequirements('the person signed in by other means');
  throw new errors.LoginRequired('another person has signed in than the request names');
}
