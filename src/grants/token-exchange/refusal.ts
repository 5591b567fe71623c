import { errors } from 'oidc-provider';

/** The parameter that carries a presented token. */
export type Role = 'subject_token' | 'actor_token';

/** RFC 8693 §2.2.2: the client learns only which token is faulty; the reason is for the log. */
export function unacceptable(role: Role, reason: string): errors.InvalidRequest {
  return new errors.InvalidRequest(`the ${role} is not acceptable`, undefined, { detail: `${role}: ${reason}` });
}
