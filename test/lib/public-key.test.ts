import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { publicKeyFault } from '../../src/lib/public-key.ts';

const rsa = (modulusLength: number) =>
  generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' });
const base64url = (number: bigint): string => {
  const hex = number.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
};

/** A modulus with the fingerprint of the faulty chips: a power of 65537 modulo every small prime. */
function ofFaultyChip(): string {
  const primes: bigint[] = [];
  for (let n = 3n; n <= 167n; n += 2n) if (primes.every((prime) => n % prime !== 0n)) primes.push(n);
  const product = primes.reduce((left, right) => left * right, 2n);
  let modulus = (2n ** 2047n / product + 12_345n) * product + 65_537n ** 7n;
  while (modulus % 2n === 0n) modulus += product;
  assert.equal(modulus.toString(2).length, 2048);
  return base64url(modulus);
}

describe('The check of a public key', () => {
  const good = rsa(2048);
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });

  it('The key check accepts common keys of every supported type', () => {
    const others = [
      ...(['P-384', 'P-521'] as const).map((namedCurve) => generateKeyPairSync('ec', { namedCurve })),
      ...[generateKeyPairSync('ed25519'), generateKeyPairSync('ed448'), generateKeyPairSync('x25519')],
      ...[generateKeyPairSync('ml-dsa-44'), generateKeyPairSync('ml-dsa-87')],
      generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }),
    ].map(({ publicKey }) => publicKey.export({ format: 'jwk' }));
    for (const jwk of [good, ec, ...others])
      assert.equal(publicKeyFault({ ...jwk, kid: 'a', use: 'enc' }), undefined, JSON.stringify(jwk));
  });

  const weak: Record<string, { jwk: object; fault: RegExp }> = {
    'has 512 bits': { jwk: rsa(512), fault: /2048 to 8192 bits, and this one has 512/ },
    'has 1024 bits': { jwk: rsa(1024), fault: /has 1024/ },
    'has one bit too few': { jwk: { ...good, n: base64url(2n ** 2047n - 1n) }, fault: /has 2047/ },
    'is so large that its use takes too long': {
      jwk: { ...good, n: base64url(2n ** 16_384n + 1n) },
      fault: /16385/,
    },
    'hides its small size behind zeros': { jwk: { ...good, n: `AAAA${String(rsa(1024).n)}` }, fault: /bits/ },
    'has the exponent 1': { jwk: { ...good, e: 'AQ' }, fault: /odd public exponent/ },
    'has the exponent 0': { jwk: { ...good, e: 'AA' }, fault: /odd public exponent|complete/ },
    'has an even exponent': { jwk: { ...good, e: base64url(65_536n) }, fault: /odd public exponent/ },
    'has a vast exponent': { jwk: { ...good, e: base64url(2n ** 64n + 1n) }, fault: /odd public exponent/ },
    'has no exponent': { jwk: { ...good, e: undefined }, fault: /complete/ },
    'has an even modulus': { jwk: { ...good, n: base64url(2n ** 2047n + 2n) }, fault: /small factor/ },
    'has a small factor': { jwk: { ...good, n: base64url(3n ** 1293n) }, fault: /small factor/ },
    'was made by a faulty chip (ROCA)': { jwk: { ...good, n: ofFaultyChip() }, fault: /ROCA/ },
    'is a point off its curve': { jwk: { ...ec, x: ec.y, y: ec.x }, fault: /on its curve/ },
    'is the point at zero': { jwk: { ...ec, x: Buffer.alloc(32).toString('base64url'), y: Buffer.alloc(32).toString('base64url') }, fault: /on its curve/ }, // prettier-ignore
    'is said to be on another curve': { jwk: { ...ec, crv: 'P-384' }, fault: /on its curve/ },
    'is on a curve for other purposes': { jwk: { ...generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' }) }, fault: /one of the curves/ }, // prettier-ignore
    'lacks a coordinate': { jwk: { ...ec, y: undefined }, fault: /complete/ },
    'is too short': { jwk: { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' }, fault: /complete/ },
    'is private (EC)': {
      jwk: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
      fault: /private/,
    },
    'contains a private factor': { jwk: { ...good, p: 'AQAB' }, fault: /private/ },
    'is a secret': { jwk: { kty: 'oct', k: 'AAAA' }, fault: /private/ },
  };
  for (const [what, { jwk, fault }] of Object.entries(weak)) {
    it(`The key check refuses a key that ${what}`, () => {
      assert.match(publicKeyFault({ ...jwk }) ?? 'nothing', fault);
    });
  }

  it('The key check refuses points of low order, for which anybody can make signatures', () => {
    const low = ['00'.repeat(32), `01${'00'.repeat(31)}`, `ec${'ff'.repeat(30)}7f`, `ed${'ff'.repeat(30)}7f`, `ee${'ff'.repeat(30)}7f`, `01${'00'.repeat(30)}80`, 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800', '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157']; // prettier-ignore
    for (const crv of ['Ed25519', 'X25519'])
      for (const hex of low) {
        const x = Buffer.from(hex, 'hex').toString('base64url');
        assert.match(publicKeyFault({ kty: 'OKP', crv, x }) ?? 'nothing', /low order/, `${crv} ${hex}`);
      }
  });
});
