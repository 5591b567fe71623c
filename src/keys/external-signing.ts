import type { JWK } from 'jose';
import type { Clock } from '../lib/clock.ts';
import type { SigningAlgorithm } from '../config/schema.ts';
import type { RingKey, SigningKey } from './ring.ts';

/**
 * A signer that never reveals private keys, such as a hardware security module. Every method throws
 * SignerUnavailable.
 */
export interface ExternalSigner {
  /**
   * Makes a key pair and keeps the private key.
   * @param name identifies the private key
   * @param owner names the ring, because several rings may share one signer
   * @returns the public key, without `kid`, `alg` and `use`
   */
  generate(alg: SigningAlgorithm, name: string, owner: string): Promise<JWK>;
  /** @returns the signature in the form that JWS uses (RFC 7518 §3, RFC 8037 §3.1) */
  sign(name: string, alg: SigningAlgorithm, data: Uint8Array): Promise<Uint8Array>;
  /** Lists the private keys of one ring by name. */
  names(owner: string): Promise<string[]>;
  /** Destroys a private key for good; does nothing if there is none. */
  destroy(name: string): Promise<void>;
  close(): Promise<void>;
}

/** Thrown if the signer is unreachable or refuses this server. The message tells the operator what to do. */
export class SignerUnavailable extends Error {
  override name = 'SignerUnavailable';
}

/** Returns a signer that refuses everything, in place of one that could not be opened. */
export function absentSigner(reason: SignerUnavailable): ExternalSigner {
  const refuse = (): Promise<never> => Promise.reject(reason);
  return { generate: refuse, sign: refuse, names: refuse, destroy: refuse, close: () => Promise.resolve() };
}

/** Signs for the engine, and reports whether it can. */
export interface ExternalSigning {
  /** @throws SignerUnavailable */
  sign(key: RingKey, data: Uint8Array): Promise<Uint8Array>;
  /** Checks that the keys can sign. A signature within the last second is proof enough. @throws SignerUnavailable */
  ready(): Promise<void>;
}

interface ExternalSigningDependencies {
  signer: ExternalSigner | undefined;
  clock: Clock;
  /** The keys that sign now. */
  signing: () => readonly SigningKey[];
  onFailure: () => void;
}

/** Milliseconds for which the outcome of the latest signature is trusted. */
const MOMENT = 1000;
/**
 * Input of the trial signature. It has no dots, so it can never pass for a token's header and payload (RFC 7515 §5.1).
 */
const TRIAL = Buffer.from('latchkey: can you sign?');

export function externalSigning({ signer, clock, signing, onFailure }: ExternalSigningDependencies): ExternalSigning {
  let last = { signed: true, at: -Infinity };
  let trial: Promise<void> | undefined;

  async function signNow({ kid, alg, external }: RingKey, data: Uint8Array): Promise<Uint8Array> {
    if (signer === undefined || external === undefined) throw new SignerUnavailable('this server has no HSM');
    try {
      return await signer.sign(external, alg, data);
    } catch (error) {
      last = { signed: false, at: clock.now() };
      onFailure();
      if (!(error instanceof SignerUnavailable)) throw error;
      throw new SignerUnavailable(`${alg} key ${kid} cannot sign: ${error.message}`, { cause: error });
    }
  }

  async function tryAll(): Promise<void> {
    for (const key of signing()) if (key.external !== undefined) await signNow(key, TRIAL);
    last = { signed: true, at: clock.now() };
  }

  async function ready(): Promise<void> {
    if (signer === undefined) return;
    // Concurrent callers share one trial, so that they do not flood an HSM after its outage.
    if (trial === undefined && Math.abs(clock.now() - last.at) < MOMENT) {
      if (last.signed) return;
      throw new SignerUnavailable('the HSM failed a moment ago');
    }
    trial ??= tryAll().finally(() => (trial = undefined));
    await trial;
  }

  return {
    ready,
    async sign(key, data) {
      if (!last.signed) await ready();
      const signature = await signNow(key, data);
      if (last.signed) last = { signed: true, at: clock.now() };
      return signature;
    },
  };
}
