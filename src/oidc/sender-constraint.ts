import type { AccessToken, ClientCredentials, TokenEndpointGrantContext } from 'oidc-provider';
import { checkDpopReplay, checkDpopRequired, checkMtlsCert, validateDpop } from './internals.ts';

/** The key that the sender of a token request has proved possession of. */
export interface SenderConstraint {
  /** The thumbprint of its key (RFC 9449 §6.1). */
  readonly jkt: string | undefined;
  bind(token: AccessToken | ClientCredentials): void;
}

/**
 * Uses up the proof of a key, or takes the client's certificate, as the engine's own grants do (RFC 9449 §5, RFC 8705 §3).
 * @throws the engine's errors: a proof that is not valid, or none from a client that must have one
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
