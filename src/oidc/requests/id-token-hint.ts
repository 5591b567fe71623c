import { errors, type Provider } from 'oidc-provider';
import { isIdToken } from './issued-jwt.ts';

type Validate = Provider['IdToken']['validate'];

/** The engine accepts every JWT that has the issuer, the audience, the subject and the key of an ID token. */
export function validateHint(engine: Validate, { provider }: { provider: Provider }): Validate {
  return async (token, client) => {
    const hint = await engine.call(provider.IdToken, token, client);
    if (!isIdToken(hint)) throw new errors.InvalidRequest('the hint must be an ID token');
    return hint;
  };
}
