import type { JWK } from 'jose';

/** Outcome of the search for a signature's key. */
export type KeyChoice = { jwk: JWK } | 'unavailable' | 'unknown' | 'ambiguous' | 'unfit' | 'weak';

/** The `kty` and, if fixed, the curve of an algorithm's key (RFC 7518 §3.1, RFC 8037 §3.1). */
const KINDS: Readonly<Record<string, { kty: string; crv?: string }>> = {
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
};
const RSA = { kty: 'RSA', crv: undefined };

/**
 * Selects the only key that a token's header can mean. The key must allow the header's algorithm (RFC 8725 §3.1), so
 * that no key is used against its owner's intent.
 */
export function chooseKey(keys: readonly JWK[], { kid, alg }: { kid?: string | undefined; alg: string }): KeyChoice {
  const meant = kid === undefined ? keys : keys.filter((key) => key.kid === kid);
  const [jwk, ...others] = meant.filter((key) => fits(key, alg));
  if (jwk === undefined) return kid === undefined || meant.length === 0 ? 'unknown' : 'unfit';
  return others.length === 0 ? { jwk } : 'ambiguous';
}

function fits(key: JWK, alg: string): boolean {
  const { kty, crv } = KINDS[alg] ?? RSA;
  return (
    key.kty === kty &&
    (crv === undefined || key.crv === crv) &&
    (key.alg === undefined || key.alg === alg) &&
    (key.use === undefined || key.use === 'sig') &&
    (key.key_ops === undefined || key.key_ops.includes('verify'))
  );
}
