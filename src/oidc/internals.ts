/**
 * The one seam to what the engine does not export. Each import is a risk at every update of the engine: its reason
 * stands beside it, and a test fails when it is gone.
 */
import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
// @ts-expect-error: not part of the engine's types
import engineDiscovery from 'oidc-provider/lib/actions/discovery.js';
// @ts-expect-error: not part of the engine's types
import { confirm as engineConfirm } from 'oidc-provider/lib/actions/end_session.js';
// @ts-expect-error: not part of the engine's types
import engineParts from 'oidc-provider/lib/helpers/weak_cache.js';

/** The engine's metadata document, for serving it from memory. `context.oidc` needs no request to make it. */
export function discoveryDocument(provider: Provider): Record<string, unknown> {
  const context = {
    body: {},
    oidc: { provider, issuer: provider.issuer, urlFor: (name: string) => provider.urlFor(name) },
  };
  (engineDiscovery as (context: unknown) => void)(context);
  return context.body;
}

/** The end of RP-initiated logout without its question, for a request that proved itself with an ID token. */
export async function endSessionNow(context: KoaContextWithOIDC): Promise<void> {
  const action = (engineConfirm as ((context: unknown) => Promise<void>)[]).at(-1);
  if (action === undefined || context.oidc.params === undefined) throw new Error('the engine has no end of a session');
  context.oidc.params['logout'] = 'yes';
  await action(context);
}

/**
 * Has ID tokens that come back as a hint verified by these keys too. The engine's configuration takes private keys
 * only, and those that sign no more have none.
 */
export function verifyHintsBy(provider: Provider, keys: readonly object[]): void {
  const { keystore } = (engineParts as (provider: Provider) => { keystore: { add(key: object): void } })(provider);
  for (const key of keys) keystore.add({ ...key, key_ops: ['verify'] });
}
