import { base64url, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { inflate } from './bytes.ts';
import { verifyJwt } from './signed-token.ts';

/** Largest decompressed list in bytes, to limit memory: four million tokens with eight bits each. */
const MAX_SIZE = 2 ** 22;
/** Status INVALID: permanently revoked (draft-ietf-oauth-status-list §7.1). */
const REVOKED = 1;
/** Seconds for which a list without `ttl` may be cached. */
const DEFAULT_TTL = 300;

/** The statuses of many tokens, with up to eight bits for each (draft-ietf-oauth-status-list §4). */
export class StatusList {
  readonly #bits: number;
  readonly #bytes: Uint8Array;
  /** Expiry in seconds since the Unix epoch. */
  readonly expiresAt: number;
  /** Seconds for which the list may be cached. */
  readonly ttl: number;

  constructor({ bits, bytes, expiresAt, ttl }: { bits: number; bytes: Uint8Array; expiresAt: number; ttl: number }) {
    this.#bits = bits;
    this.#bytes = bytes;
    this.expiresAt = expiresAt;
    this.ttl = ttl;
  }

  /** Returns the status of an index: 0 if valid (§7.1), undefined beyond the end of the list. */
  at(index: number): number | undefined {
    const byte = this.#bytes[Math.floor(index / this.#perByte)];
    return byte === undefined ? undefined : (byte >> this.#shift(index)) & this.#mask;
  }

  /** Marks an index as revoked in this copy, without a fetch of the issuer's new list. */
  revoke(index: number): void {
    const at = Math.floor(index / this.#perByte);
    const byte = this.#bytes[at];
    if (byte === undefined) return;
    const others = byte & ~(this.#mask << this.#shift(index));
    this.#bytes[at] = others | (REVOKED << this.#shift(index));
  }

  /**
   * Adds the revocations of an earlier copy of this list. Revocation is permanent, so a copy that lacks one comes from
   * a cache or from a node that lags behind. A suspension (2) may end, so it is not added.
   */
  keep(earlier: StatusList): void {
    if (this.#bits !== earlier.#bits) return;
    for (let at = 0; at < earlier.#bytes.length; at += 1) {
      if (earlier.#bytes[at] === 0 || earlier.#bytes[at] === this.#bytes[at]) continue;
      for (let index = at * this.#perByte; index < (at + 1) * this.#perByte; index += 1) {
        if (earlier.at(index) === REVOKED) this.revoke(index);
      }
    }
  }

  get #perByte(): number {
    return 8 / this.#bits;
  }

  get #mask(): number {
    return (1 << this.#bits) - 1;
  }

  /** The first index of a byte is in its lowest bits (§4.1). */
  #shift(index: number): number {
    return (index % this.#perByte) * this.#bits;
  }
}

export interface ListRules {
  issuer: string;
  algorithms: readonly string[];
  keys: JWTVerifyGetKey;
  /** Accepted clock difference, in seconds. */
  clockTolerance: number;
  currentDate: () => Date;
}

/**
 * Verifies and decodes a published list (draft-ietf-oauth-status-list §5.1 and §8.3).
 * @param uri the list's address, which must be its subject
 * @throws Error
 */
export async function readStatusList(token: string, uri: string, rules: ListRules): Promise<StatusList> {
  const { payload } = await verifyJwt(token, rules.keys, {
    algorithms: [...rules.algorithms],
    typ: 'statuslist+jwt',
    subject: uri,
    requiredClaims: ['iat'],
    clockTolerance: rules.clockTolerance,
    currentDate: rules.currentDate(),
  });
  if (payload.iss !== undefined && payload.iss !== rules.issuer)
    throw new Error('The status list names another issuer');
  const { bits, lst } = packed(payload);
  const bytes = await inflate(new Uint8Array(base64url.decode(lst)), MAX_SIZE);
  return new StatusList({ bits, bytes, expiresAt: payload.exp ?? Infinity, ttl: ttlOf(payload) });
}

function packed({ status_list: list }: JWTPayload): { bits: number; lst: string } {
  const { bits, lst } = typeof list === 'object' && list !== null ? (list as Record<string, unknown>) : {};
  if (typeof bits !== 'number' || ![1, 2, 4, 8].includes(bits) || typeof lst !== 'string') {
    throw new Error('The status list is malformed');
  }
  return { bits, lst };
}

function ttlOf({ ttl = DEFAULT_TTL }: JWTPayload): number {
  if (typeof ttl !== 'number' || !(ttl > 0)) throw new Error('The status list has a malformed ttl');
  return ttl;
}
