import { createLocalJWKSet, errors } from 'jose';
import type { CryptoKey, FlattenedJWSInput, JSONWebKeySet, JWTHeaderParameters } from 'jose';

/**
 * The keys of one moment. Which of them a header means is found out once, as it takes a tenth of the time of a
 * verification.
 */
export class KeySet {
  readonly #find: ReturnType<typeof createLocalJWKSet>;
  readonly #found = new Map<string, CryptoKey>();

  /** Parses a JWK Set. @throws Error if it is not one */
  constructor(jwks: unknown) {
    this.#find = createLocalJWKSet(jwks as JSONWebKeySet);
  }

  /** The key, where such a header was seen before. */
  known({ alg, kid }: JWTHeaderParameters): CryptoKey | undefined {
    return this.#found.get(`${alg} ${kid ?? ''}`);
  }

  /** @throws jose's error when it holds no such key, several, or one that is broken */
  async find(header: JWTHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    const key = await this.#find(header, token);
    // Only what is in the set gets here, so it holds no more than that, however many headers are made up.
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
