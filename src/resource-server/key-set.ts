import { createLocalJWKSet, errors } from 'jose';
import type { CryptoKey, FlattenedJWSInput, JSONWebKeySet, JWTHeaderParameters } from 'jose';

/**
 * The keys of one fetch. The match of a header to a key is cached, because finding it takes a tenth of a verification.
 */
export class KeySet {
  readonly #find: ReturnType<typeof createLocalJWKSet>;
  readonly #found = new Map<string, CryptoKey>();

  /** Parses a JWK Set. @throws Error if it is not one */
  constructor(jwks: unknown) {
    this.#find = createLocalJWKSet(jwks as JSONWebKeySet);
  }

  /** Returns the key that was found for this header before. */
  known({ alg, kid }: JWTHeaderParameters): CryptoKey | undefined {
    return this.#found.get(`${alg} ${kid ?? ''}`);
  }

  /** @throws jose's error if it holds no such key, several, or a broken one */
  async find(header: JWTHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    const key = await this.#find(header, token);
    // Only headers with a match get here, so invented headers do not fill the cache.
    this.#found.set(`${header.alg} ${header.kid ?? ''}`, key);
    return key;
  }
}

/** Tells whether the token is at fault and not the key set. */
export function isAboutTheToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}
