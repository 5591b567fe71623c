import type { ApiRequest } from './api-request.ts';
import type { CertificateOf } from './certificate-binding.ts';
import type { ReplayStore } from './dpop-replays.ts';
import type { AccessRefused } from './errors.ts';

export interface VerifierOptions {
  /** The issuer identifier, exactly as in the issuer's metadata. */
  issuer: string;
  /** The resource identifier of this API, which `aud` must contain. */
  audience: string;
  /** Accepted signature algorithms, which must be asymmetric. Default: ES256 and RS256. */
  algorithms?: readonly string[];
  /**
   * Accepted `typ` values. Add `jwt` if the issuer's configuration sets `access_token_type: jwt` for this API; tokens
   * without `typ` are then accepted too. Default: only `at+jwt` (RFC 9068 §2.1).
   */
  types?: readonly ('at+jwt' | 'jwt')[];
  /** URL of the key set. Default: `jwks_uri` of the issuer's metadata. */
  jwksUri?: string;
  /** Largest accepted difference between the clocks of the issuer and the API, in seconds. Default: 5. */
  clockTolerance?: number;
  /**
   * Time in seconds for which keys are cached. The API refuses a revoked key after that time, or within a second if it
   * follows the issuer's event stream. Default: 300.
   */
  maxAge?: number;
  /** Shortest time in seconds between two key fetches for an unknown `kid`. Default: 30. */
  cooldown?: number;
  /** Timeout of a request to the issuer, in seconds. Default: 5. */
  timeout?: number;
  /** Clock for checks of token lifetimes. Default: the system clock. */
  currentDate?: () => Date;
  /**
   * URL by which clients reach this process: `https://api.example`, or `https://api.example/v1` if a proxy strips
   * `/v1`. Default: the origin of `audience`. DPoP needs this option if `audience` is not an http URL.
   */
  publicUrl?: string;
  /** DPoP settings, for tokens that are bound to a key (RFC 9449). */
  dpop?: DpopOptions;
  /**
   * Reads the client certificate (DER or PEM) from a header, for certificate-bound tokens (RFC 8705) behind a proxy
   * that terminates TLS. Clients must not be able to set that header. Default: the certificate of the connection.
   */
  certificate?: CertificateOf;
  /** Settings for revocation checks. */
  status?: StatusOptions;
  /**
   * Authentication contexts (`acr`) from the weakest to the strongest. Default: only the required context itself
   * satisfies a requirement.
   */
  acrValues?: readonly string[];
  /** Additional members of this API's metadata (RFC 9728 §2), such as `scopes_supported` and `resource_name`. */
  metadata?: Readonly<Record<string, unknown>>;
  /**
   * The `waitUntil` function of a runtime that stops all work at the end of a request, such as Cloudflare Workers. If
   * it is set, the verifier does nothing between requests and does not use the event stream. Default: none.
   */
  waitUntil?: (work: Promise<unknown>) => void;
  /** Called whenever a guard refuses a request, for logging. The refusal's `cause` is internal. */
  onRefusal?: (refusal: AccessRefused, request: ApiRequest) => void;
}

export interface DpopOptions {
  /** Refuses every token that is not bound to a key. Default: false. */
  required?: boolean;
  /** Accepted signature algorithms of proofs. Default: ES256, EdDSA, Ed25519, PS256 and RS256. */
  algorithms?: readonly string[];
  /**
   * Largest accepted difference in seconds between a proof's `iat` and the current time. With `nonces`, it is the
   * shortest lifetime of a nonce instead. Default: 60.
   */
  window?: number;
  /**
   * Requires a nonce from this API in every proof (RFC 9449 §9), so that nobody can make proofs in advance. Default:
   * false.
   */
  nonces?: boolean;
  /**
   * At least 32 secret bytes that all processes of this API share, so that each accepts the nonces of the others.
   * Default: random bytes.
   */
  nonceSecret?: Uint8Array;
  /** The store of used proofs. Default: the memory of this process, with room for 100,000 proofs. */
  replays?: ReplayStore;
}

export interface StatusOptions {
  /**
   * `required` refuses a token without a status list index. `when-present` accepts such a token: its
   * holder cannot have removed the index, which is signed. `off` checks no status. Default: `when-present`.
   */
  check?: 'required' | 'when-present' | 'off';
  /** Listens to the issuer's event stream, if there is one. Default: true. */
  push?: boolean;
  /**
   * Credentials of this API's client at the issuer. The issuer reserves event streams for its operator's clients;
   * strangers may take all others. Default: none.
   */
  client?: { id: string; secret: string };
  /**
   * Treatment of tokens whose status list could not be confirmed within its `ttl`. `refuse` answers 503. `acceptFor`
   * uses the last copy of the list for that many more seconds. Without any copy, the token is always refused. Default:
   * `refuse`.
   */
  whenUnreachable?: 'refuse' | { acceptFor: number };
}
