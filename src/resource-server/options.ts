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
  /** Where the keys are. Default: what the issuer's metadata says. */
  jwksUri?: string;
  /** How far the clocks of issuer and API may differ, in seconds. Default: 5. */
  clockTolerance?: number;
  /**
   * How long, in seconds, the keys are kept. A key that the issuer revokes is refused after that, or within a second where the
   * issuer has a stream of events. Default: 300.
   */
  maxAge?: number;
  /** How long, in seconds, an unknown `kid` does not have the keys fetched again. Default: 30. */
  cooldown?: number;
  /** How long, in seconds, the issuer may take to answer. Default: 5. */
  timeout?: number;
  /** The time by which tokens expire. Default: the machine's. */
  currentDate?: () => Date;
  /**
   * Where clients reach this process: what stands before the path that it sees, such as `https://api.example`, or
   * `https://api.example/v1` where a proxy takes `/v1` away. Default: the origin of `audience`. DPoP needs one of them.
   */
  publicUrl?: string;
  /** Tokens bound to a key (RFC 9449). */
  dpop?: DpopOptions;
  /**
   * The client's certificate where a proxy ends TLS, for tokens bound to one (RFC 8705), from a header that only the proxy can
   * set: DER or PEM. Default: that of the connection.
   */
  certificate?: CertificateOf;
  /** Whether a token was taken back. */
  status?: StatusOptions;
  /** Authentication contexts (`acr`) from the weakest to the strongest. Default: each stands for itself alone. */
  acrValues?: readonly string[];
  /** More for this API's metadata (RFC 9728 §2), such as `scopes_supported` and `resource_name`. */
  metadata?: Readonly<Record<string, unknown>>;
  /**
   * For a runtime that ends with the request all that it began, such as Cloudflare Workers: the function of that name, which lets
   * it finish. Nothing goes on between requests then, and the stream of events is not used. Default: none.
   */
  waitUntil?: (work: Promise<unknown>) => void;
  /** Called with every refusal of a guard, for the log: `cause` says what must not be sent. */
  onRefusal?: (refusal: AccessRefused, request: ApiRequest) => void;
}

export interface DpopOptions {
  /** Refuse every token that is not bound to a key. Default: false. */
  required?: boolean;
  /** Default: ES256, EdDSA, Ed25519, PS256 and RS256. */
  algorithms?: readonly string[];
  /** How many seconds old, or ahead, a proof may be; with `nonces`, how long one serves at least. Default: 60. */
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
   * `required` refuses a token that has no place in a status list, `when-present` takes it, since who holds a token cannot
   * take the signed claim out of it; `off` looks at none. Default: `when-present`.
   */
  check?: 'required' | 'when-present' | 'off';
  /** Listen to the issuer's stream of events, where it has one. Default: true. */
  push?: boolean;
  /**
   * A client of the issuer that this API is, with its secret. The issuer keeps places in its stream for clients of its operator;
   * without credentials strangers may take the last one. Default: none.
   */
  client?: { id: string; secret: string };
  /**
   * What becomes of a token whose list could not be confirmed within its `ttl`: refused with 503, or accepted for so many seconds
   * more by the last copy. A list that was never there is always refused. Default: `refuse`.
   */
  whenUnreachable?: 'refuse' | { acceptFor: number };
}
