import type { ApiRequest } from './api-request.ts';
import type { CertificateOf } from './certificate-binding.ts';
import type { ReplayStore } from './dpop-replays.ts';
import type { AccessRefused } from './errors.ts';

export interface VerifierOptions {
  /** The issuer identifier, exactly as in the issuer's metadata. */
  issuer: string;
  /** The resource identifier of this API, which `aud` must contain. */
  audience: string;
  /** Accepted signature algorithms; asymmetric ones only. Default: ES256 and RS256. */
  algorithms?: readonly string[];
  /**
   * Accepted values of `typ`. Add `jwt` for an API whose resource has `access_token_type: jwt`; a token without `typ`
   * then counts as one. Default: `at+jwt` alone (RFC 9068 §2.1).
   */
  types?: readonly ('at+jwt' | 'jwt')[];
  /** URL of the key set. Default: `jwks_uri` of the issuer's metadata. */
  jwksUri?: string;
  /** Largest difference between the clocks of the issuer and the API, in seconds. Default: 5. */
  clockTolerance?: number;
  /**
   * Time in seconds for which keys are cached. The API refuses a revoked key after that time, or within a second if the
   * issuer has an event stream. Default: 300.
   */
  maxAge?: number;
  /** Shortest time in seconds between two fetches that an unknown `kid` causes. Default: 30. */
  cooldown?: number;
  /** Timeout of a request to the issuer, in seconds. Default: 5. */
  timeout?: number;
  /** The clock for token expiry. Default: the machine's. */
  currentDate?: () => Date;
  /**
   * URL by which clients reach this process: `https://api.example`, or `https://api.example/v1` if a proxy strips
   * `/v1`. Default: the origin of `audience`. DPoP needs one of the two.
   */
  publicUrl?: string;
  /** Settings for tokens that are bound to a key (RFC 9449). */
  dpop?: DpopOptions;
  /**
   * Returns the client certificate (DER or PEM) from a header, for certificate-bound tokens (RFC 8705) behind a proxy
   * that ends TLS. Only the proxy may be able to set the header. Default: the certificate of the connection.
   */
  certificate?: CertificateOf;
  /** Revocation checks. */
  status?: StatusOptions;
  /**
   * Authentication contexts (`acr`) from the weakest to the strongest. Default: no context satisfies a requirement for
   * another.
   */
  acrValues?: readonly string[];
  /** Additional members of this API's metadata (RFC 9728 §2), such as `scopes_supported` and `resource_name`. */
  metadata?: Readonly<Record<string, unknown>>;
  /**
   * The `waitUntil` of a runtime that stops all work with the request, such as Cloudflare Workers. If it is set,
   * nothing runs between requests, and the event stream is not used. Default: none.
   */
  waitUntil?: (work: Promise<unknown>) => void;
  /** Called with every refusal of a guard, for logging. The refusal's `cause` is internal. */
  onRefusal?: (refusal: AccessRefused, request: ApiRequest) => void;
}

export interface DpopOptions {
  /** Refuses every token that is not bound to a key. Default: false. */
  required?: boolean;
  /** Default: ES256, EdDSA, Ed25519, PS256 and RS256. */
  algorithms?: readonly string[];
  /**
   * Largest distance in seconds between a proof's `iat` and the present. With `nonces`, the shortest life of a nonce.
   * Default: 60.
   */
  window?: number;
  /**
   * Requires a nonce of this API in every proof (RFC 9449 §9), so that nobody can make proofs in advance. Default:
   * false.
   */
  nonces?: boolean;
  /**
   * 32 secret bytes that all processes of this API share, so that each accepts the nonces of the others. Default:
   * random.
   */
  nonceSecret?: Uint8Array;
  /** The store of used proofs. Default: the memory of this process, which holds 100,000 proofs. */
  replays?: ReplayStore;
}

export interface StatusOptions {
  /**
   * `required` refuses a token without a status list index. `when-present` accepts it, because a holder cannot remove a
   * signed claim. `off` checks none. Default: `when-present`.
   */
  check?: 'required' | 'when-present' | 'off';
  /** Listens to the issuer's event stream, if there is one. Default: true. */
  push?: boolean;
  /**
   * Client credentials of this API at the issuer. The issuer reserves event streams for its operator's clients; without
   * credentials, strangers may take the last free one. Default: none.
   */
  client?: { id: string; secret: string };
  /**
   * Treatment of tokens whose status list could not be confirmed within its `ttl`. `refuse` answers 503; `acceptFor`
   * accepts them by the last copy for that many more seconds. A list that was never fetched is always refused. Default:
   * `refuse`.
   */
  whenUnreachable?: 'refuse' | { acceptFor: number };
}
