import type { Scheme } from './credentials.ts';
import { Nonces } from './dpop-nonces.ts';
import { MemoryReplays } from './dpop-replays.ts';
import { publicPrefix } from './public-url.ts';
import type { SenderRules } from './sender.ts';
import type { Settings } from './settings.ts';

/**
 * @param now seconds since the Unix epoch
 * @throws TypeError when DPoP is required of an API that does not know its URL
 */
export function senderRules(settings: Settings, now: () => number): SenderRules {
  const { audience, publicUrl, certificate, clockTolerance, dpop } = settings;
  const { required, algorithms, window, nonces } = dpop;
  const prefix = publicPrefix(publicUrl, audience);
  if (required && prefix === undefined) throw new TypeError('DPoP needs publicUrl where audience is no URL');
  return {
    // A nonce is valid for one to two periods, so used proofs are remembered as long as without nonces.
    proofs: {
      algorithms,
      window,
      clockTolerance,
      nonces: nonces ? new Nonces(dpop.nonceSecret, window, now) : undefined,
      replays: dpop.replays ?? new MemoryReplays(),
      now,
    },
    publicPrefix: prefix,
    dpopRequired: required,
    certificateOf: certificate,
  };
}

/** The authentication schemes that are taken. */
export function schemesOf({ publicPrefix: prefix, dpopRequired }: SenderRules): Scheme[] {
  if (dpopRequired) return ['DPoP'];
  return prefix === undefined ? ['Bearer'] : ['Bearer', 'DPoP'];
}
