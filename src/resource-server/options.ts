import type { ApiRequest } from './api-request.ts';
import type { CertificateOf } from './certificate-binding.ts';
import type { ReplayStore } from './dpop-replays.ts';
import type { AccessRefused } from './errors.ts';

export interface VerifierOptions {
  /** The issuer identifier, character by character as in its metadata. */
  issuer: string;
  /** This API's resource identifier: what `aud` must hold. */
  audience: string;
  /** Signature algorithms that are accepted; asymmetric ones only. Default: ES256 and RS256. */
  algorithms?: readonly string[];
  /**
   * Types (`typ`) of the tokens that are accepted. `jwt` is for an API whose resource has `access_token_type: jwt`: a token
   * without a type counts as one. Default: at+jwt alone (RFC 9068 §2.1).
   */
  types?: readonly ('at+jwt' | 'jwt')[];
  /** URL of the key set. Default: `jwks_uri` of the issuer's metadata. */
  jwksUri?: string;
  /** Largest difference between the clocks of issuer and API, in seconds. Default: 5. */
  clockTolerance?: number;
  /**
   * Time in seconds for which keys are cached. A revoked key is refused after that time, or within a second if the
   * issuer has an event stream. Default: 300.
   */
  maxAge?: number;
  /** Shortest time in seconds between two fetches that an unknown `kid` causes. Default: 30. */
  cooldown?: number;
  /** Timeout of a request to the issuer, in seconds. Default: 5. */
  timeout?: number;
  /** The time by which tokens expire. Default: the machine's. */
  currentDate?: () => Date;
  /**
   * URL by which clients reach this process, up to the path that the process sees: `https://api.example`, or
   * `https://api.example/v1` if a proxy strips `/v1`. Default: the origin of `audience`. DPoP needs one of the two.
   */
  publicUrl?: string;
  /** Tokens bound to a key (RFC 9449). */
  dpop?: DpopOptions;
  /**
   * The client's certificate where a proxy ends TLS, for tokens bound to one (RFC 8705), from a header that only the proxy can
   * set: DER or PEM. Default: that of the connection.
   */
  certificate?: CertificateOf;
  /** Revocation checks. */
  status?: StatusOptions;
  /** Authentication contexts (`acr`) from the weakest to the strongest. Default: each stands for itself alone. */
  acrValues?: readonly string[];
  /** More for this API's metadata (RFC 9728 §2), such as `scopes_supported` and `resource_name`. */
  metadata?: Readonly<Record<string, unknown>>;
  /**
   * The `waitUntil` of a runtime that stops all work with the request, such as Cloudflare Workers. With it nothing runs
   * between requests, and the event stream is not used. Default: none.
   */
  waitUntil?: (work: Promise<unknown>) => void;
  /** Called with every refusal of a guard, for logging: `cause` is internal. */
  onRefusal?: (refusal: AccessRefused, request: ApiRequest) => void;
}

export interface DpopOptions {
  /** Refuse every token that is not bound to a key. Default: false. */
  required?: boolean;
  /** Default: ES256, EdDSA, Ed25519, PS256 and RS256. */
  algorithms?: readonly string[];
  /**
   * Largest age of a proof in seconds, into the past or the future; with `nonces`, the shortest life of a nonce.
   * Default: 60.
   */
  window?: number;
  /** Ask for a nonce of this API in every proof (RFC 9449 §9): proofs cannot be made in advance. Default: false. */
  nonces?: boolean;
  /** 32 secret bytes that all processes of this API share, so that each takes the others' nonces. Default: random. */
  nonceSecret?: Uint8Array;
  /** The memory of used proofs. Default: in this process, 100,000 for two to four windows. */
  replays?: ReplayStore;
}

export interface StatusOptions {
  /**
   * `required` refuses a token without a status list index. `when-present` accepts it, because a holder cannot remove a
   * signed claim. `off` checks none. Default: `when-present`.
   */
  check?: 'required' | 'when-present' | 'off';
  /** Listen to the issuer's stream of events, where it has one. Default: true. */
  push?: boolean;
  /**
   * The issuer's client for this API, with its secret. The issuer reserves streams for its operator's clients; without
   * credentials, strangers may take the last free one. Default: none.
   */
  client?: { id: string; secret: string };
  /**
   * Treatment of tokens whose status list could not be confirmed within its `ttl`: refuse them with 503, or accept them
   * by the last copy for that many seconds more. A list that was never fetched is always refused. Default: `refuse`.
   */
  whenUnreachable?: 'refuse' | { acceptFor: number };
}
