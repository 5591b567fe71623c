import type { ClientMetadata, Provider } from 'oidc-provider';
import type { Logger } from 'pino';
import type { Client, Clients } from '../../clients/clients.ts';
import { deprecatedUses } from '../../config/deprecated.ts';
import type { Config } from '../../config/schema.ts';
import { STANDARD_SCOPES } from '../../config/standard-scopes.ts';
import { clientMetadata } from './client-metadata.ts';

/**
 * The engine looks at a client when it is first used; this looks at all of them at the start. One of the configuration
 * that it refuses stops the start; one of the store is named in the log, since it must not take the others down.
 * One that is registered for what RFC 9700 advises against is named too.
 * @throws Error that names the client and its fault
 */
export async function checkClients(provider: Provider, clients: Clients, log: Logger): Promise<void> {
  for (const client of clients.configured) {
    const fault = await faultOf(provider, client);
    if (fault !== undefined) throw new Error(`client "${client.client_id}" cannot be used: ${fault}`);
    warn(client, log);
  }
  for await (const client of clients.stored()) {
    const fault = await faultOf(provider, client);
    if (fault !== undefined) log.error({ client: client.client_id, fault }, 'a client of the store cannot be used');
    else warn(client, log);
  }
}

/** The engine can look at a client without taking it; its types do not say so. */
type EngineClients = Provider['Client'] & { validate(metadata: ClientMetadata): Promise<void> };

/** @throws errors.InvalidClientMetadata for a client that the engine would refuse at its first use */
export async function acceptClient(provider: Provider, client: Client, profile: Config['profile']): Promise<void> {
  await (provider.Client as EngineClients).validate(clientMetadata(client, { engineScopes: STANDARD_SCOPES, profile }));
}

function warn(client: Client, log: Logger): void {
  const uses = deprecatedUses(client);
  if (uses.length === 0) return;
  log.warn({ client: client.client_id, uses }, 'a client is registered for what is no longer safe (RFC 9700 §2)');
}

async function faultOf(provider: Provider, { client_id: id }: Client): Promise<string | undefined> {
  try {
    await provider.Client.find(id);
    return undefined;
  } catch (error) {
    return error instanceof Error
      ? ((error as { error_description?: string }).error_description ?? error.message)
      : 'unknown';
  }
}
