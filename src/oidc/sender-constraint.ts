import type { AccessToken, TokenEndpointGrantContext } from 'oidc-provider';
import { checkDpopReplay, checkDpopRequired, checkMtlsCert, validateDpop } from './internals.ts';

/**
 * Binds a token to the key that its request proves to hold, as the engine's own grants do (RFC 9449 §5, RFC 8705 §3).
 * @throws the engine's errors: a proof that is not valid, or none from a client that must have one
 */
export async function bindToSender(context: TokenEndpointGrantContext, token: AccessToken): Promise<void> {
  const { provider, client } = context.oidc;
  const proof = await validateDpop(provider, context);
  checkDpopRequired(provider, context, proof);
  const certificate = checkMtlsCert(provider, context);
  if (certificate !== undefined) token.setThumbprint('x5t', certificate);
  if (proof === undefined) return;
  await checkDpopReplay(provider, context, proof, client.clientId);
  token.setThumbprint('jkt', proof.thumbprint);
}
