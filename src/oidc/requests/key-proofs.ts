import { decodeJwt, decodeProtectedHeader } from 'jose';
import {
  errors,
  type Configuration,
  type KoaContextWithOIDC,
  type AccessToken,
  type ClientCredentials,
  type TokenEndpointGrantContext,
} from 'oidc-provider';
import { profiles, type Profile } from '../../config/sections/profiles.ts';
import type { Clock } from '../../lib/clock.ts';
import { rulesOf } from '../clients/client-metadata.ts';
import { checkDpopReplay, checkDpopRequired, checkMtlsCert, validateDpop } from '../internals.ts';
import { aheadFault, type ClientJwt } from './client-jwts.ts';

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

/** The key whose possession a token request proves. */
export interface SenderConstraint {
  /** The thumbprint of its key (RFC 9449 §6.1). */
  readonly jkt: string | undefined;
  bind(token: AccessToken | ClientCredentials): void;
}

/**
 * Consumes a proof of possession, or reads the client's certificate, as the engine's own grants do (RFC 9449 §5, RFC
 * 8705 §3). @throws the engine's errors: an invalid proof, or none from a client that needs one
 */
export async function senderConstraint(context: TokenEndpointGrantContext): Promise<SenderConstraint> {
  const { provider, client } = context.oidc;
  const proof = await validateDpop(provider, context);
  checkDpopRequired(provider, context, proof);
  const certificate = checkMtlsCert(provider, context);
  await checkDpopReplay(provider, context, proof, client.clientId);
  return {
    jkt: proof?.thumbprint,
    bind(token) {
      if (certificate !== undefined) token.setThumbprint('x5t', certificate);
      if (proof !== undefined) token.setThumbprint('jkt', proof.thumbprint);
    },
  };
}
