import type { Logger } from 'pino';
import { Provider } from 'oidc-provider';
import { engineConfiguration, type EngineDependencies } from './configuration.ts';
import { showCodePage } from './device/device-pages.ts';
import { reportClientUse, reportEngineEvents } from './engine-events.ts';
import { installOverrides, prepareSteps } from './engine-override.ts';
import { engineOverrides, type OverrideDependencies } from './engine-overrides.ts';
import type { GrantType } from './grant-type.ts';
import { verifyHintsBy } from './internals.ts';
import { resumeByRecord } from './resume.ts';
import { forgetRefusedProofs } from './storage/replay-adapter.ts';

type ProviderDependencies = EngineDependencies &
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
export function createProvider(dependencies: ProviderDependencies): Provider {
  prepareSteps(engineOverrides);
  const provider = new Provider(dependencies.config.issuer, engineConfiguration(dependencies));
  verifyHintsBy(provider, dependencies.ring.verifying);
  // The admission step of the HTTP server has already checked forwarded headers, and removed untrusted ones.
  provider.proxy = true;
  for (const step of [dependencies.secretGuesses.countRefused, forgetRefusedProofs, showCodePage, resumeByRecord])
    provider.use(step);
  for (const { name, handle, parameters, repeatable = [] } of dependencies.grantTypes)
    provider.registerGrantType(name, handle, [...parameters], [...repeatable]);
  installOverrides(provider, engineOverrides, overrideDependencies(provider, dependencies));
  reportEngineEvents(provider, dependencies.announce, dependencies.log);
  reportClientUse(provider, dependencies.clientUsed);
  return provider;
}

function overrideDependencies(provider: Provider, dependencies: ProviderDependencies): OverrideDependencies {
  const { config, ring, grants, clients, secretGuesses, subjectNames, status, forms, logouts, refresh } = dependencies;
  const { calls, outgoing, announce, revoke, clock, random } = dependencies;
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
