import type { Logger } from 'pino';
import { Provider } from 'oidc-provider';
import { isClientSecret } from '../clients/client-secret.ts';
import type { Announce } from '../events/events.ts';
import { engineConfiguration, type EngineParts } from './configuration.ts';
import { reportEngineEvents } from './engine-events.ts';
import { verifyHintsBy } from './internals.ts';

/** Builds the engine for one snapshot of the key ring. Cheap enough to do again whenever the ring changes. */
export function createProvider(parts: EngineParts & { announce: Announce; log: Logger }): Provider {
  const provider = new Provider(parts.config.issuer, engineConfiguration(parts));
  verifyHintsBy(provider, parts.ring.verifying);
  // The host has checked every forwarded header, and removed those of strangers.
  provider.proxy = true;
  provider.Client.prototype.compareClientSecret = function compareClientSecret(actual: string) {
    return isClientSecret(this.clientSecret ?? '', actual);
  };
  // The engine takes a client that is registered for none of its scopes for one that may have them all.
  Object.assign(provider.Client.prototype, { scope: ' ' });
  // The engine would name the session only to clients that listen for its end; logout by ID token needs it from all.
  provider.Client.prototype.includeSid = () => true;
  reportEngineEvents(provider, parts.announce, parts.log);
  return provider;
}
