import { Provider, type CIBAEnabledConfiguration } from 'oidc-provider';
// @ts-expect-error: not part of the engine's types
import partsOf from 'oidc-provider/lib/helpers/weak_cache.js';
import { moduleInventory, providerInventory } from './engine-inventory.ts';

/** The engine as it is installed, with nothing of this server loaded; the parent compares its own with it. */
const provider = new Provider('http://localhost', {
  clients: [{ client_id: 'some', token_endpoint_auth_method: 'none', redirect_uris: ['http://localhost/back'] }],
  features: {
    devInteractions: { enabled: false },
    ciba: { enabled: true, deliveryModes: ['poll', 'ping'] } as unknown as CIBAEnabledConfiguration,
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    encryption: { enabled: true },
    jwtResponseModes: { enabled: true },
  },
});
const client = await provider.Client.find('some');
if (client === undefined) throw new Error('the engine has lost its client');
const parts = (partsOf as (provider: Provider) => object)(provider);
process.stdout.write(JSON.stringify({ ...(await moduleInventory()), ...providerInventory(provider, client, parts) }));
