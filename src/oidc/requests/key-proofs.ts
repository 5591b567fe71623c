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

/** Hooks for DPoP (RFC 9449). A nonce is optional, but the engine checks it if present. */
export function keyProofs(nonceSecret: Buffer, profile: Profile, clock: Clock): KeyProofs {
  return {
    enabled: true,
    nonceSecret,
    // The engine has no other hook before it checks a proof.
    requireNonce: (context) => {
      assertProof(context, profile, clock);
      return false;
    },
  };
}

/**
 * Checks DPoP proofs beyond the engine's rules (RFC 9449 §4.3). If a proof comes with an access token, the client is
 * not known yet, so the server's own profile applies. @throws errors.InvalidDpopProof
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

/** Decodes a proof without verifying it. The engine refuses a proof that cannot be parsed. */
function readProof(text: string): ClientJwt | undefined {
  try {
    return { header: decodeProtectedHeader(text), claims: decodeJwt(text) };
  } catch {
    return undefined;
  }
}

/** The key or certificate whose possession a token request proves. */
export interface SenderConstraint {
  /** Thumbprint of the DPoP key (RFC 9449 §6.1). */
  readonly jkt: string | undefined;
  bind(token: AccessToken | ClientCredentials): void;
}

/**
 * Uses up the request's DPoP proof, and reads the client's certificate, as the engine's own grants do (RFC 9449 §5, RFC
 * 8705 §3). @throws the engine's error if the proof is invalid, or if the client needs one and sends none
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
