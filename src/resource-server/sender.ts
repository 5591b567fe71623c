import type { JWTPayload } from 'jose';
import type { ApiRequest, Credentials } from './api-request.ts';
import { checkCertificate, type CertificateOf } from './certificate-binding.ts';
import { checkProof, type ProofRules } from './dpop-proofs.ts';
import { InvalidToken } from './errors.ts';
import { requestUrl } from './public-url.ts';

export interface SenderRules {
  proofs: ProofRules;
  /** URL before the target of a request; undefined if DPoP is not offered. */
  publicPrefix: string | undefined;
  dpopRequired: boolean;
  certificateOf: CertificateOf | undefined;
}

/**
 * Checks that a token's sender is the party it is bound to (`cnf`), if any. @returns whether the proof's nonce expires
 * soon, so that the client needs the next one (RFC 9449 §8.2) @throws InvalidToken, InvalidProof, NonceRequired,
 * ReplaysUnavailable
 */
export async function checkSender(
  claims: JWTPayload,
  { scheme, token }: Credentials,
  request: ApiRequest,
  rules: SenderRules,
): Promise<boolean> {
  const { jkt, thumbprint } = bindingOf(claims);
  if (thumbprint !== undefined) await checkCertificate(request, thumbprint, rules.certificateOf);
  if (jkt === undefined) {
    // RFC 9449 §7.1: the scheme announces a proof.
    if (scheme === 'DPoP' || rules.dpopRequired) throw new InvalidToken('unbound');
    return false;
  }
  // RFC 9449 §7.2: a bound token without proof is refused, because a thief would present it exactly so.
  if (scheme !== 'DPoP' || rules.publicPrefix === undefined) throw new InvalidToken('sender_constrained');
  const url = requestUrl(rules.publicPrefix, request.target);
  const proven = { method: request.method, url, token, jkt };
  const { nonce } = await checkProof(request.headers('dpop'), proven, rules.proofs);
  return rules.proofs.nonces !== undefined && nonce !== (await rules.proofs.nonces.current());
}

interface Binding {
  jkt?: string;
  thumbprint?: string;
}

/** An unknown confirmation method cannot be checked, so the token is refused. */
export function bindingOf({ cnf }: JWTPayload): Binding {
  if (cnf === undefined) return {};
  if (typeof cnf !== 'object' || cnf === null) throw new InvalidToken('claims');
  const { jkt, 'x5t#S256': thumbprint, ...unknown } = cnf as Record<string, unknown>;
  if (!isOptionalText(jkt) || !isOptionalText(thumbprint)) throw new InvalidToken('claims');
  if (Object.keys(unknown).length > 0 || (jkt ?? thumbprint) === undefined) {
    throw new InvalidToken('sender_constrained');
  }
  return { ...(jkt !== undefined && { jkt }), ...(thumbprint !== undefined && { thumbprint }) };
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}
