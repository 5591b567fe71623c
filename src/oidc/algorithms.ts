import { createPublicKey, type KeyObject } from 'node:crypto';
import { type Configuration, ExternalSigningKey, type JWK } from 'oidc-provider';
import { AUTH_METHODS } from '../config/sections/client-schema.ts';
import type { Config } from '../config/schema.ts';
import { clientSignature, contentEncryption, keyEncryption } from '../config/values.ts';
import type { RingSnapshot, SigningKey } from '../keys/ring.ts';
import type { ExternalSigning } from '../keys/external-signing.ts';
import type { MutualTls } from './clients/client-certificates.ts';
import { dPoPAlgorithms } from './clients/profile-rules.ts';
import { ASSERTION_ALGORITHMS } from './requests/client-jwts.ts';

/** Lists the supported client authentication methods: those with certificates only where mutual TLS is set up. */
export function authMethods({ tlsClientAuth = false, selfSignedTlsClientAuth = false }: MutualTls) {
  const offered: Record<string, boolean> = {
    tls_client_auth: tlsClientAuth,
    self_signed_tls_client_auth: selfSignedTlsClientAuth,
  };
  return AUTH_METHODS.filter((method) => offered[method] ?? true);
}

/** Returns the signing and encryption algorithms that the engine offers or accepts. */
export function algorithms({ keys, profile }: Config, ring: RingSnapshot): NonNullable<Configuration['enabledJWA']> {
  const signing = ring.signing.map(({ alg }) => alg);
  const forClients = keys.hs256 ? [...signing, 'HS256' as const] : signing;
  return {
    idTokenSigningAlgValues: forClients,
    userinfoSigningAlgValues: signing,
    authorizationSigningAlgValues: forClients,
    introspectionSigningAlgValues: forClients,
    ...dPoPAlgorithms(profile),
    requestObjectSigningAlgValues: [...clientSignature.options],
    // Encrypted request objects are not supported: requests come over TLS, and the ring holds no encryption keys.
    requestObjectEncryptionAlgValues: [],
    requestObjectEncryptionEncValues: [],
    authorizationEncryptionAlgValues: [...keyEncryption.options],
    authorizationEncryptionEncValues: [...contentEncryption.options],
    introspectionEncryptionAlgValues: [],
    introspectionEncryptionEncValues: [],
    idTokenEncryptionAlgValues: [...keyEncryption.options],
    idTokenEncryptionEncValues: [...contentEncryption.options],
    userinfoEncryptionAlgValues: [...keyEncryption.options],
    userinfoEncryptionEncValues: [...contentEncryption.options],
    clientAuthSigningAlgValues: [...ASSERTION_ALGORITHMS],
  };
}

/**
 * Converts the current signing keys to the engine's form: a private JWK, or an `ExternalSigningKey` if an external
 * signer holds the private key.
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
