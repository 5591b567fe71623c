import type { Provider } from 'oidc-provider';
import type { Logger } from 'pino';
import type { Client, Clients } from '../clients/clients.ts';

/**
 * The engine looks at a client when it is first used; this looks at all of them at the start. One of the configuration
 * that it refuses stops the start; one of the store is named in the log, since it must not take the others down.
 * @throws Error that names the client and its fault
 */
export async function checkClients(provider: Provider, clients: Clients, log: Logger): Promise<void> {
  for (const client of clients.configured) {
    const fault = await faultOf(provider, client);
    if (fault !== undefined) throw new Error(`client "${client.client_id}" cannot be used: ${fault}`);
  }
  for await (const client of clients.stored()) {
    const fault = await faultOf(provider, client);
    if (fault !== undefined) log.error({ client: client.client_id, fault }, 'a client of the store cannot be used');
  }
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
