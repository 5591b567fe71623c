import { createPublicKey } from 'node:crypto';

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];
const CURVES = ['P-256', 'P-384', 'P-521'];
/** Accepted RSA key sizes in bits. Larger keys slow down verification without a benefit. */
const RSA = { least: 2048, most: 8192 };

/**
 * Explains why another party's public key must not be used: it is private, too weak or not a key (RFC 7518 §3.3, NIST
 * SP 800-131A, SP 800-56B §6.4.2).
 * @returns undefined for an acceptable key
 */
export function publicKeyFault(jwk: Readonly<Record<string, unknown>>): string | undefined {
  if (PRIVATE_MEMBERS.some((name) => name in jwk)) return 'must be a public key, and this one is private';
  const { kty, crv, x } = jwk;
  if (kty === 'EC' && !CURVES.includes(String(crv))) return `must be on one of the curves ${CURVES.join(', ')}`;
  if (kty === 'OKP' && isOfLowOrder(x)) return 'must not be a point of low order, because anybody could sign for it';
  if (!isReadable(jwk)) return 'must be a complete public key, whose point is on its curve';
  if (kty !== 'RSA') return undefined;
  const modulus = numberIn(jwk['n']);
  return rsaSizeFault(modulus.toString(2).length, numberIn(jwk['e'])) ?? modulusFault(modulus);
}

/** Tells whether a key is meant for verifying signatures (RFC 7517 §4.2 and §4.3). */
export function verifies({ kty, crv, use, key_ops: operations }: Readonly<Record<string, unknown>>): boolean {
  if (kty === 'OKP' && String(crv).startsWith('X')) return false;
  if (use !== undefined && use !== 'sig') return false;
  return operations === undefined || (Array.isArray(operations) && operations.includes('verify'));
}

/** Explains why an RSA key must not be used. @returns undefined if length and exponent are acceptable */
export function rsaSizeFault(bits: number, exponent: bigint): string | undefined {
  if (bits < RSA.least || bits > RSA.most)
    return `must have ${RSA.least} to ${RSA.most} bits, and this one has ${bits}`;
  if (exponent >= 3n && exponent % 2n === 1n && exponent < 2n ** 64n) return undefined;
  return 'must have an odd public exponent (e) from 3 to 2^64';
}

function modulusFault(modulus: bigint): string | undefined {
  if (modulus % 2n === 0n || PRIMES.some((prime) => modulus % prime === 0n)) return 'must not have a small factor';
  if (!SUBGROUPS.every(([prime, powers]) => powers.has(modulus % prime))) return undefined;
  return 'must be replaced: a faulty chip generated it, so anybody can compute its private key (ROCA, CVE-2017-15361)';
}

/** Tells whether Node can read a key. Node checks the lengths, and that a point is on its curve. */
function isReadable(jwk: Readonly<Record<string, unknown>>): boolean {
  try {
    createPublicKey({ key: jwk, format: 'jwk' });
    return true;
  } catch {
    return false;
  }
}

function numberIn(text: unknown): bigint {
  return BigInt(`0x0${Buffer.from(String(text), 'base64url').toString('hex')}`);
}

const PRIMES = (
  '3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61 67 71 73 79 83 89 97 ' +
  '101 103 107 109 113 127 131 137 139 149 151 157 163 167'
)
  .split(' ')
  .map(BigInt);

/** Powers of 65537 modulo each small prime. The faulty library's primes are such powers, and so are their products. */
const SUBGROUPS = PRIMES.map((prime) => {
  const powers = new Set<bigint>();
  for (let power = 1n; !powers.has(power); power = (power * 65537n) % prime) powers.add(power);
  return [prime, powers] as const;
});

const FIELD = 2n ** 255n - 19n;
/** Coordinates of points of order 8: first y on Ed25519, whose negative is the other y, then the two u on X25519. */
const ORDER_8 = [
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x00b8495f16056286fdb1329ceb8d09da6ac49ff1fae35616aeb8413b7c7aebe0n,
  0x57119fd0dd4e22d8868e1c58c45c44045bef839c55b1d0b1248c50a3bc959c5fn,
];
const LOW_ORDER = [0n, 1n, FIELD - 1n, FIELD - (ORDER_8[0] ?? 0n), ...ORDER_8];

function isOfLowOrder(x: unknown): boolean {
  const bytes = Buffer.from(String(x), 'base64url').reverse();
  if (bytes.length !== 32) return false;
  // The highest bit is the sign of the other coordinate.
  const coordinate = BigInt(`0x${bytes.toString('hex')}`) % 2n ** 255n;
  return LOW_ORDER.includes(coordinate % FIELD);
}
