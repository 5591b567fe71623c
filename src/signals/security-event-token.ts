import type { Signal } from './occurrence.ts';
import type { Stream } from './streams.ts';

/** Signs claims as a Security Event Token with the key that signs now. */
export type SignSet = (claims: Readonly<Record<string, unknown>>) => Promise<string>;

/**
 * RFC 8417 §2, in the profile of Shared Signals Framework 1.0 §4.1: no `sub`, no `exp`. It is signed when it is handed
 * out, so that no key that was replaced or revoked since it happened stands in the way.
 */
export function setClaims(issuer: string, { client }: Stream, signal: Signal): Record<string, unknown> {
  const { jti, txn, iat, subject, type, event } = signal;
  return {
    iss: issuer,
    aud: client,
    jti,
    iat,
    ...(txn !== undefined && { txn }),
    sub_id: subject,
    events: { [type]: event },
  };
}
