import { errors, type ClientMetadata, type Provider } from 'oidc-provider';
import type { Logger } from 'pino';
import type { Client, Clients } from '../../clients/clients.ts';
import { deprecatedUses } from '../../config/deprecated.ts';
import { pathText } from '../../config/problems.ts';
import type { Config } from '../../config/schema.ts';
import type { Calls, Outgoing } from '../../outgoing/outgoing.ts';
import { clientMetadata, weakKeys } from './client-metadata.ts';
import { sectorFault } from './sector-identifier.ts';

/**
 * The engine looks at a client when it is first used; this looks at all of them at the start. One of the configuration
 * that it refuses stops the start; one of the store is named in the log, since it must not take the others down.
 * One that is registered for what RFC 9700 advises against is named too.
 * @throws Error that names the client and its fault
 */
export async function checkClients(
  provider: Provider,
  { clients, outgoing, log }: { clients: Clients; outgoing: Outgoing; log: Logger },
): Promise<void> {
  const check = async (client: Client): Promise<string | undefined> =>
    (await faultOf(provider, client)) ?? (await faultOfSector(client, outgoing.ofOperator, log));
  for (const client of clients.configured) {
    const fault = await check(client);
    if (fault !== undefined) throw new Error(`client "${client.client_id}" cannot be used: ${fault}`);
    warn(client, log);
  }
  for await (const client of clients.stored()) {
    const fault = await check(client);
    if (fault !== undefined) log.error({ client: client.client_id, fault }, 'a client of the store cannot be used');
    else warn(client, log);
  }
}

/** A sector that cannot be reached now does not keep the server down; one that registered itself was looked at then. */
async function faultOfSector(client: Client, calls: Calls, log: Logger): Promise<string | undefined> {
  const fault = client.registration === undefined ? await sectorFault(client, calls) : undefined;
  if (fault?.isUnreached !== true) return fault?.reason;
  log.warn({ client: client.client_id, reason: fault.reason }, 'the sector of a client cannot be checked for now');
  return undefined;
}

/** The engine can look at a client without taking it; its types do not say so. */
type EngineClients = Provider['Client'] & { validate(metadata: ClientMetadata): Promise<void> };

/** @throws errors.InvalidClientMetadata for a client that the engine would refuse at its first use, or that its sector does not list */
export async function acceptClient(
  provider: Provider,
  client: Client,
  { config, outgoing }: { config: Config; outgoing: Outgoing },
): Promise<void> {
  await (provider.Client as EngineClients).validate(clientMetadata(client, config));
  const fault = await sectorFault(client, outgoing.ofStrangers);
  if (fault !== undefined) throw new errors.InvalidClientMetadata(fault.reason);
}

function warn(client: Client, log: Logger): void {
  const keys = weakKeys(client).map(({ path, message }) => `${pathText(path)} ${message}`);
  if (keys.length > 0)
    log.warn({ client: client.client_id, keys }, 'keys of a client are not used: have its owner register others');
  const uses = deprecatedUses(client);
  if (uses.length > 0)
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
