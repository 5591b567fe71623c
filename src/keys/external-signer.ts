import type { JWK } from 'jose';
import type { SigningAlgorithm } from '../config/schema.ts';

/**
 * A signer that never reveals private halves, such as a hardware security module. Every method throws
 * SignerUnavailable.
 */
export interface ExternalSigner {
  /**
   * Makes a key pair and keeps the private half. @param name identifies the private half @param owner its ring; others
   * may share the same signer @returns the public half, without `kid`, `alg` and `use`
   */
  generate(alg: SigningAlgorithm, name: string, owner: string): Promise<JWK>;
  /** @returns the signature as JWS has it (RFC 7518 §3, RFC 8037 §3.1) */
  sign(name: string, alg: SigningAlgorithm, data: Uint8Array): Promise<Uint8Array>;
  /** Lists the private halves of one ring by name. */
  names(owner: string): Promise<string[]>;
  /** Destroys a private half for good; does nothing if there is none. */
  destroy(name: string): Promise<void>;
  close(): Promise<void>;
}

/** The signer is unreachable or refuses this server. The message tells the operator what to do. */
export class SignerUnavailable extends Error {
  override name = 'SignerUnavailable';
}

/** Stands in for a signer that could not be opened. */
export function absentSigner(reason: SignerUnavailable): ExternalSigner {
  const refuse = (): Promise<never> => Promise.reject(reason);
  return { generate: refuse, sign: refuse, names: refuse, destroy: refuse, close: () => Promise.resolve() };
}
