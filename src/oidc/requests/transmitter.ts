import { errors, type Client, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider';
import type { Config } from '../../config/schema.ts';
import { policyOf } from '../clients/client-metadata.ts';

/** Scopes for the management of streams (CAEP Interoperability Profile 1.0 §2.7.2). */
export const STREAM_SCOPES = ['ssf.manage', 'ssf.read'] as const;

/** The transmitter of shared signals, as a resource of this server itself (RFC 8707). */
export interface Transmitter {
  readonly identifier: string;
  /** Tells whether a request without `resource` is for the transmitter. Other vendors' receivers send only a scope. */
  isMeant(context: KoaContextWithOIDC, client: Client): boolean;
  /** @throws InvalidTarget if the client may not receive signals, or if the grant is not client credentials */
  describe(context: KoaContextWithOIDC, client: Client): ResourceServer;
}

/** Returns the transmitter's resource, if the operator has turned shared signals on. */
export function transmitterOf({ issuer, shared_signals: signals }: Config): Transmitter | undefined {
  if (!signals.enabled) return undefined;
  const identifier = transmitterIdentifier(issuer);
  const mayHave = ({ oidc }: KoaContextWithOIDC, client: Client): boolean =>
    oidc.params?.['grant_type'] === 'client_credentials' && policyOf(client).receivesSignals;
  return {
    identifier,
    isMeant: (context, client) =>
      mayHave(context, client) && STREAM_SCOPES.some((name) => context.oidc.requestParamScopes.has(name)),
    describe(context, client) {
      if (!mayHave(context, client)) throw new errors.InvalidTarget();
      // The token is opaque, because only this server reads it and can look it up directly.
      return { audience: identifier, scope: STREAM_SCOPES.join(' '), accessTokenFormat: 'opaque' };
    },
  };
}

export function transmitterIdentifier(issuer: string): string {
  return `${issuer}/ssf`;
}
