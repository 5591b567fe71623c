import { hash } from 'node:crypto';
import type { JWK } from 'jose';
import type { SigningAlgorithm } from '../../config/schema.ts';
import { RSA_BITS } from '../rotation.ts';
import { CKA, CKG_MGF1_SHA256, CKM } from './constants.ts';
import { mechanism, struct, ulong, type Attribute, type Struct } from './memory.ts';

/** PKCS #11 parameters to generate, read and use the keys of one JWS algorithm. */
export interface Recipe {
  generation: number;
  /** Templates of the public key. They are tried in order, because tokens name curves differently. */
  publicHalf: readonly (readonly Attribute[])[];
  signing: number;
  /** Builds the mechanism with its parameters, once for each signature. */
  mechanism: () => Struct;
  /** Converts the data to be signed to the input of C_Sign. */
  input: (data: Uint8Array) => Buffer;
  publicJwk: (read: (attribute: number) => Promise<Buffer>) => Promise<JWK>;
}

const PUBLIC_EXPONENT = Buffer.from([1, 0, 1]);
/** Members of CK_RSA_PKCS_PSS_PARAMS. The salt is as long as the hash (RFC 7518 §3.5). */
const PSS_PARAMETERS = [CKM.SHA256, CKG_MGF1_SHA256, 32] as const;

/**
 * Values of CKA_EC_PARAMS in DER: prime256v1, id-Ed25519 (RFC 8410 §3), and the older PrintableString "edwards25519".
 */
const P256 = Buffer.from('06082a8648ce3d030107', 'hex');
const ED25519 = [Buffer.from('06032b6570', 'hex'), Buffer.from('130c656477617264733235353139', 'hex')];

function rsa(signing: number, parameter?: () => Struct): Recipe {
  return {
    generation: CKM.RSA_PKCS_KEY_PAIR_GEN,
    publicHalf: [
      [
        [CKA.MODULUS_BITS, ulong(RSA_BITS)],
        [CKA.PUBLIC_EXPONENT, PUBLIC_EXPONENT],
      ],
    ],
    signing,
    mechanism: () => mechanism(signing, parameter?.()),
    input: (data) => Buffer.from(data),
    publicJwk: async (read) => ({
      kty: 'RSA',
      n: unsigned(await read(CKA.MODULUS)),
      e: unsigned(await read(CKA.PUBLIC_EXPONENT)),
    }),
  };
}

const es256: Recipe = {
  generation: CKM.EC_KEY_PAIR_GEN,
  publicHalf: [[[CKA.EC_PARAMS, P256]]],
  signing: CKM.ECDSA,
  mechanism: () => mechanism(CKM.ECDSA),
  // Fewer tokens have the mechanism with a built-in hash. CKM_ECDSA returns the signature as JWS has it: r, then s.
  input: (data) => hash('sha256', data, 'buffer'),
  publicJwk: async (read) => {
    const point = coordinates(await read(CKA.EC_POINT), 64);
    const [x, y] = [point.subarray(0, 32), point.subarray(32)].map((half) => half.toString('base64url'));
    return { kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '' };
  },
};

const eddsa: Recipe = {
  generation: CKM.EC_EDWARDS_KEY_PAIR_GEN,
  publicHalf: ED25519.map((curve) => [[CKA.EC_PARAMS, curve]] as const),
  signing: CKM.EDDSA,
  mechanism: () => mechanism(CKM.EDDSA),
  input: (data) => Buffer.from(data),
  publicJwk: async (read) => ({
    kty: 'OKP',
    crv: 'Ed25519',
    x: coordinates(await read(CKA.EC_POINT), 32).toString('base64url'),
  }),
};

/** The recipe of each algorithm. ML-DSA is part of PKCS #11 v3.2, which modules do not support yet. */
export const recipes: Partial<Record<SigningAlgorithm, Recipe>> = {
  RS256: rsa(CKM.SHA256_RSA_PKCS),
  PS256: rsa(CKM.SHA256_RSA_PKCS_PSS, () => struct(...PSS_PARAMETERS)),
  ES256: es256,
  EdDSA: eddsa,
};

/**
 * Returns the coordinates at the end of CKA_EC_POINT. Depending on the version and the vendor, a DER header and the
 * byte for an uncompressed point precede them.
 */
function coordinates(point: Buffer, length: number): Buffer {
  if (point.length < length) throw new Error(`a point of ${point.length} bytes on a curve that has ${length}`);
  return point.subarray(-length);
}

/** Encodes an unsigned integer for a JWK, without leading zeros (RFC 7518 §2, Base64urlUInt). */
function unsigned(bytes: Buffer): string {
  const start = bytes.findIndex((byte) => byte !== 0);
  return bytes.subarray(Math.max(start, 0)).toString('base64url');
}
