/** Reason why a token was refused, for logs and metrics. */
export type TokenFault = keyof typeof FAULT_TEXTS;

const FAULT_TEXTS = {
  malformed: 'The access token is not a signed JWT',
  algorithm: 'The access token is signed with an algorithm that is not accepted here',
  unknown_key: 'The access token is signed with a key that its issuer does not publish',
  signature: 'The signature of the access token is wrong',
  type: 'The token is not an access token',
  issuer: 'The access token comes from another issuer',
  audience: 'The access token is for another audience',
  expired: 'The access token expired',
  not_yet_valid: 'The access token is not valid yet',
  claims: 'The access token lacks a required claim or holds a malformed one',
  sender_constrained: 'The access token is bound to a key and cannot be used as a bearer token',
  unbound: 'The access token is not bound to a key, as it must be here',
  key_binding: 'The access token is bound to a key other than that of the DPoP proof',
  certificate: 'The access token is bound to a certificate other than that of this connection',
  revoked: 'The access token was revoked',
} as const;

/**
 * The refusal of a request. `message` is a text for the client; `cause`, if present, is internal and must not be sent.
 * `code` is the error code of RFC 6750 §3.1, RFC 9449 §7.1 or RFC 9470 §3; the refusal of a request without a token has
 * none. `parameters` are additional challenge parameters.
 */
export abstract class AccessRefused extends Error {
  abstract readonly status: 400 | 401 | 403 | 503;
  abstract readonly code: string | undefined;
  readonly parameters: Readonly<Record<string, string>> = {};
}

/** The request carries no access token. */
export class MissingToken extends AccessRefused {
  override readonly name = 'MissingToken';
  readonly status = 401;
  readonly code = undefined;

  constructor() {
    super('An access token is required');
  }
}

/** The request is malformed, for example with its token in the query (RFC 6750 §3.1). */
export class InvalidRequest extends AccessRefused {
  override readonly name = 'InvalidRequest';
  readonly status = 400;
  readonly code = 'invalid_request';
}

/** This API does not accept the token; `fault` gives the reason. */
export class InvalidToken extends AccessRefused {
  override readonly name = 'InvalidToken';
  readonly status = 401;
  readonly code = 'invalid_token';
  readonly fault: TokenFault;

  constructor(fault: TokenFault, options?: ErrorOptions) {
    super(FAULT_TEXTS[fault], options);
    this.fault = fault;
  }
}

/** The DPoP proof is not valid for this request (RFC 9449 §4.3). */
export class InvalidProof extends AccessRefused {
  override readonly name = 'InvalidProof';
  readonly status = 401;
  readonly code = 'invalid_dpop_proof';
}

/** The DPoP proof lacks a current nonce of this API. The response supplies one (RFC 9449 §9). */
export class NonceRequired extends AccessRefused {
  override readonly name = 'NonceRequired';
  readonly status = 401;
  readonly code = 'use_dpop_nonce';

  constructor() {
    super('The DPoP proof must hold the nonce that comes with this answer');
  }
}

/** The token is valid but lacks a scope or role. `scope` lists the required scopes; undefined if a role is missing. */
export class InsufficientScope extends AccessRefused {
  override readonly name = 'InsufficientScope';
  readonly status = 403;
  readonly code = 'insufficient_scope';
  readonly scope: string | undefined;
  override readonly parameters: Readonly<Record<string, string>>;

  constructor(message: string, scope?: string) {
    super(message);
    this.scope = scope;
    this.parameters = scope === undefined ? {} : { scope };
  }
}

/** The person must sign in again, with a stronger method or more recently (RFC 9470 §3). */
export class InsufficientAuthentication extends AccessRefused {
  override readonly name = 'InsufficientAuthentication';
  readonly status = 401;
  readonly code = 'insufficient_user_authentication';
  override readonly parameters: Readonly<Record<string, string>>;

  constructor(parameters: Record<string, string>) {
    super('A stronger or more recent sign-in is required');
    this.parameters = parameters;
  }
}

/** A required check is not possible now. */
abstract class Unavailable extends AccessRefused {
  readonly status = 503;
  readonly code = 'temporarily_unavailable';
}

/** The issuer's metadata or keys cannot be fetched. */
export class IssuerUnavailable extends Unavailable {
  override readonly name = 'IssuerUnavailable';

  constructor(options?: ErrorOptions) {
    super('The keys of the token issuer cannot be fetched', options);
  }
}

/** The API cannot find out in time whether the token is revoked. */
export class StatusUnavailable extends Unavailable {
  override readonly name = 'StatusUnavailable';

  constructor(options?: ErrorOptions) {
    super('The revocation status of the access token is not known', options);
  }
}

/** The replay check failed: the store is full or does not answer. */
export class ReplaysUnavailable extends Unavailable {
  override readonly name = 'ReplaysUnavailable';

  constructor(options?: ErrorOptions) {
    super('The server cannot check whether the DPoP proof was used before', options);
  }
}
