import type { Clock } from '../lib/clock.ts';
import { SignerUnavailable, type ExternalSigner } from './external-signer.ts';
import type { RingKey, SigningKey } from './ring.ts';

/** Signs for the engine, and reports whether it can. */
export interface ExternalSigning {
  /** @throws SignerUnavailable */
  sign(key: RingKey, data: Uint8Array): Promise<Uint8Array>;
  /** @throws SignerUnavailable if a key that should sign now cannot; a very recent signature is proof enough */
  ready(): Promise<void>;
}

interface Parts {
  signer: ExternalSigner | undefined;
  clock: Clock;
  /** The keys that sign now. */
  signing: () => readonly SigningKey[];
  onFailure: () => void;
}

/** Time for which the last observation is trusted, in milliseconds. */
const MOMENT = 1000;
/**
 * Input of the trial signature. It has no dots, so it can never pass for a token's header and payload (RFC 7515 §5.1).
 */
const TRIAL = Buffer.from('latchkey: can you sign?');

export function externalSigning({ signer, clock, signing, onFailure }: Parts): ExternalSigning {
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
    // Concurrent callers share one trial, so that a returning HSM is not flooded.
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
