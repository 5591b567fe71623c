import { decodeJwt, decodeProtectedHeader } from 'jose';
import { errors, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import { profiles, type Profile } from '../../config/sections/profiles.ts';
import type { Clock } from '../../lib/clock.ts';
import { rulesOf } from '../clients/client-metadata.ts';
import { aheadFault, type ClientJwt } from './client-jwt.ts';

type KeyProofs = NonNullable<NonNullable<Configuration['features']>['dPoP']>;

/** Hooks for DPoP keys (RFC 9449). A nonce is optional, but checked if present. */
export function keyProofs(nonceSecret: Buffer, profile: Profile, clock: Clock): KeyProofs {
  return {
    enabled: true,
    nonceSecret,
    // The engine's only hook before it checks a proof.
    requireNonce: (context) => {
      assertProof(context, profile, clock);
      return false;
    },
  };
}

/**
 * Checks DPoP proofs beyond the engine's rules (RFC 9449 §4.3). If a proof comes with an access token, its client is
 * still unknown, so the server's profile counts. @throws errors.InvalidDpopProof
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

/** Nothing is verified yet. The engine refuses what cannot be parsed. */
function readProof(text: string): ClientJwt | undefined {
  try {
    return { header: decodeProtectedHeader(text), claims: decodeJwt(text) };
  } catch {
    return undefined;
  }
}
