import type { JWTPayload } from 'jose';
import type { ApiRequest, Credentials } from './api-request.ts';
import { checkCertificate, type CertificateOf } from './certificate-binding.ts';
import { checkProof, type ProofRules } from './dpop-proofs.ts';
import { InvalidToken } from './errors.ts';
import { requestUrl } from './public-url.ts';

export interface SenderRules {
  proofs: ProofRules;
  /** URL prefix of all request targets; undefined if the API does not offer DPoP. */
  publicPrefix: string | undefined;
  dpopRequired: boolean;
  certificateOf: CertificateOf | undefined;
}

/**
 * Checks that the sender of a token holds the key and certificate that the token is bound to (`cnf`), if any.
 * @returns whether the client needs the next nonce, because the nonce of its proof expires soon (RFC 9449 §8.2)
 * @throws InvalidToken, InvalidProof, NonceRequired, ReplaysUnavailable
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
    // RFC 9449 §7.1: the scheme `DPoP` requires a token that is bound to a key.
    if (scheme === 'DPoP' || rules.dpopRequired) throw new InvalidToken('unbound');
    return false;
  }
  // RFC 9449 §7.2: a bound token needs a proof, because a thief could otherwise use it as a bearer token.
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

/**
 * Reads the key and certificate that a token is bound to. It refuses unknown confirmation methods, because it cannot
 * check them.
 * @throws InvalidToken
 */
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
