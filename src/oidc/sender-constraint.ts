import type { AccessToken, ClientCredentials, TokenEndpointGrantContext } from 'oidc-provider';
import { checkDpopReplay, checkDpopRequired, checkMtlsCert, validateDpop } from './internals.ts';

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
