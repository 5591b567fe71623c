import { errors } from 'oidc-provider';

/** Token type identifiers (RFC 8693 §3). */
export const TOKEN_TYPE = {
  access_token: 'urn:ietf:params:oauth:token-type:access_token',
  id_token: 'urn:ietf:params:oauth:token-type:id_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  id_jag: 'urn:ietf:params:oauth:token-type:id-jag',
} as const;

/** Types of token that may be presented, as the configuration names them. */
export type PresentedType = 'access_token' | 'id_token';

export function presentedType(urn: string): PresentedType | undefined {
  return (['access_token', 'id_token'] as const).find((name) => TOKEN_TYPE[name] === urn);
}

/** The parameter that carries a presented token. */
export type Role = 'subject_token' | 'actor_token';

/**
 * Returns the error for an unacceptable token (RFC 8693 §2.2.2). The client learns only which token is faulty; the
 * reason is for the log.
 */
export function unacceptable(role: Role, reason: string): errors.InvalidRequest {
  return new errors.InvalidRequest(`the ${role} is not acceptable`, undefined, { detail: `${role}: ${reason}` });
}
