/** What is wrong with a token, for logs and metrics. */
export type TokenFault =
  | 'malformed'
  | 'algorithm'
  | 'unknown_key'
  | 'signature'
  | 'type'
  | 'issuer'
  | 'audience'
  | 'expired'
  | 'not_yet_valid'
  | 'claims'
  | 'sender_constrained';

const FAULT_TEXTS: Record<TokenFault, string> = {
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
};

/**
 * A request that must not be answered. `message` is a fixed text, made to be sent; `cause`, where there is one, is what
 * happened inside and must stay there. `code` is RFC 6750 §3.1's error code; a request without any token has none.
 */
export abstract class AccessRefused extends Error {
  abstract readonly status: 400 | 401 | 403 | 503;
  abstract readonly code: string | undefined;
}

/** The request carries no bearer token. */
export class MissingToken extends AccessRefused {
  override readonly name = 'MissingToken';
  readonly status = 401;
  readonly code = undefined;

  constructor() {
    super('An access token is required');
  }
}

/** The request does not present its token as it must (RFC 6750 §3.1). */
export class InvalidRequest extends AccessRefused {
  override readonly name = 'InvalidRequest';
  readonly status = 400;
  readonly code = 'invalid_request';
}

/** The token is not one that this API accepts; `fault` says why. */
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

/** The token is good but does not reach this far. `scope` is what it lacks; absent where no scope would help. */
export class InsufficientScope extends AccessRefused {
  override readonly name = 'InsufficientScope';
  readonly status = 403;
  readonly code = 'insufficient_scope';
  readonly scope: string | undefined;

  constructor(message: string, scope?: string) {
    super(message);
    this.scope = scope;
  }
}

/** The issuer's metadata or keys cannot be fetched, so nothing can be said about the token. */
export class IssuerUnavailable extends AccessRefused {
  override readonly name = 'IssuerUnavailable';
  readonly status = 503;
  readonly code = 'temporarily_unavailable';

  constructor(options?: ErrorOptions) {
    super('The keys of the token issuer cannot be fetched', options);
  }
}
