import type { Logger } from 'pino';
import { Provider } from 'oidc-provider';
import { engineConfiguration, type EngineParts } from './configuration.ts';
import { showCodePage } from './device/device-pages.ts';
import { reportClientUse, reportEngineEvents } from './engine-events.ts';
import { installOverrides, prepareSteps } from './engine-override.ts';
import { engineOverrides, type OverrideDependencies } from './engine-overrides.ts';
import type { GrantType } from './grant-type.ts';
import { verifyHintsBy } from './internals.ts';
import { resumeByRecord } from './resume.ts';
import { forgetRefusedProofs } from './storage/replay-adapter.ts';

type Parts = EngineParts &
  Omit<OverrideDependencies, 'provider'> & {
    grantTypes: readonly GrantType[];
    log: Logger;
    /** Called for each token issued to a self-registered client. */
    clientUsed: (clientId: string) => void;
  };

/**
 * Builds the engine for one snapshot of the key ring. Building is cheap enough to repeat at each change of the ring.
 * @throws Error if the engine does not match the overrides
 */
export function createProvider(parts: Parts): Provider {
  prepareSteps(engineOverrides);
  const provider = new Provider(parts.config.issuer, engineConfiguration(parts));
  verifyHintsBy(provider, parts.ring.verifying);
  // The admission step of the HTTP server has already checked forwarded headers, and removed untrusted ones.
  provider.proxy = true;
  for (const step of [parts.secretGuesses.countRefused, forgetRefusedProofs, showCodePage, resumeByRecord])
    provider.use(step);
  for (const { name, handle, parameters, repeatable = [] } of parts.grantTypes)
    provider.registerGrantType(name, handle, [...parameters], [...repeatable]);
  installOverrides(provider, engineOverrides, overrideParts(provider, parts));
  reportEngineEvents(provider, parts.announce, parts.log);
  reportClientUse(provider, parts.clientUsed);
  return provider;
}

function overrideParts(provider: Provider, parts: Parts): OverrideDependencies {
  const { config, ring, grants, clients, secretGuesses, subjectNames, status, forms, logouts, refresh } = parts;
  const { calls, outgoing, announce, revoke, clock, random } = parts;
  return {
    provider,
    config,
    ring,
    grants,
    clients,
    secretGuesses,
    subjectNames,
    status,
    forms,
    logouts,
    refresh,
    calls,
    outgoing,
    announce,
    revoke,
    clock,
    random,
  };
}
