import { createPublicKey, type KeyObject } from 'node:crypto';
import { ExternalSigningKey, type JWK } from 'oidc-provider';
import type { ExternalSigning } from '../keys/external-signing.ts';
import type { SigningKey } from '../keys/ring.ts';

/**
 * Converts the current signing keys to the engine's form: private JWKs, and placeholders for private halves in an
 * external signer.
 */
export function engineKeys(keys: readonly SigningKey[], signatures: ExternalSigning): (JWK | ExternalSigningKey)[] {
  return keys.map((key) =>
    key.privateJwk === undefined ? new KeyElsewhere(key, signatures) : (key.privateJwk as JWK),
  );
}

class KeyElsewhere extends ExternalSigningKey {
  readonly #key: SigningKey;
  readonly #public: KeyObject;
  readonly #signatures: ExternalSigning;

  constructor(key: SigningKey, signatures: ExternalSigning) {
    super();
    this.#key = key;
    this.#public = createPublicKey({ key: key.publicJwk, format: 'jwk' });
    this.#signatures = signatures;
  }

  override get kid(): string {
    return this.#key.kid;
  }

  override get alg(): string {
    return this.#key.alg;
  }

  override keyObject(): KeyObject {
    return this.#public;
  }

  override sign(data: Uint8Array): Promise<Uint8Array> {
    return this.#signatures.sign(this.#key, data);
  }
}
