import { decodeJwt, decodeProtectedHeader } from 'jose';
import { errors, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import { profiles, type Profile } from '../../config/profiles.ts';
import type { Clock } from '../../lib/clock.ts';
import { rulesOf } from '../clients/client-metadata.ts';
import { aheadFault, type ClientJwt } from './client-jwt.ts';

type KeyProofs = NonNullable<NonNullable<Configuration['features']>['dPoP']>;

/** Keys that the sender of a request proves to hold (RFC 9449). No nonce is asked for; the one that is offered counts. */
export function keyProofs(nonceSecret: Buffer, profile: Profile, clock: Clock): KeyProofs {
  return {
    enabled: true,
    nonceSecret,
    // The engine's one hook before it looks at a proof.
    requireNonce: (context) => {
      assertProof(context, profile, clock);
      return false;
    },
  };
}

/**
 * Rules for DPoP proofs beyond those of the engine (RFC 9449 §4.3). Where a proof comes with an access token its client is
 * not known yet, so the server's profile counts.
 * @throws errors.InvalidDpopProof
 */
function assertProof(context: KoaContextWithOIDC, profile: Profile, clock: Clock): void {
  const proof = readProof(context.get('DPoP'));
  if (proof === undefined) return;
  if ('crit' in proof.header || 'b64' in proof.header)
    throw new errors.InvalidDpopProof('DPoP proof must not demand an extension (crit, b64)');
  const { client } = context.oidc;
  const fault = aheadFault(proof.claims, client === undefined ? profiles[profile] : rulesOf(client), clock);
  if (fault !== undefined) throw new errors.InvalidDpopProof(`DPoP proof ${fault}`);
}

/** Nothing of it is believed yet. What cannot be read is left for the engine to refuse. */
function readProof(text: string): ClientJwt | undefined {
  try {
    return { header: decodeProtectedHeader(text), claims: decodeJwt(text) };
  } catch {
    return undefined;
  }
}
