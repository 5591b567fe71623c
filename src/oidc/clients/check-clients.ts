import { errors, type ClientMetadata, type Provider } from 'oidc-provider';
import type { Logger } from 'pino';
import type { Client, Clients } from '../../clients/clients.ts';
import { pathText } from '../../config/problems.ts';
import type { Config } from '../../config/schema.ts';
import type { Calls, Outgoing } from '../../outgoing/outgoing.ts';
import { StoreUnavailable } from '../../storage/store.ts';
import { clientMetadata, weakKeys } from './client-metadata.ts';
import { deprecatedUses } from './deprecated-flows.ts';

/**
 * Checks all clients at the start, because the engine checks a client only at its first use. A faulty client in the
 * configuration stops the start. A faulty client in the store is only logged, so that the others still work. The server
 * also logs clients with weak keys, and clients with a grant or response type that RFC 9700 advises against. @throws
 * StoreUnavailable, or an Error that names the configured client and its fault
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

/**
 * Checks the sector of a client. If its document cannot be reached, the server logs a warning and starts anyway.
 * Self-registered clients are skipped, because they were checked at registration.
 */
async function faultOfSector(client: Client, calls: Calls, log: Logger): Promise<string | undefined> {
  const fault = client.registration === undefined ? await sectorFault(client, calls) : undefined;
  if (fault?.isUnreached !== true) return fault?.reason;
  log.warn({ client: client.client_id, reason: fault.reason }, 'the sector of a client cannot be checked for now');
  return undefined;
}

/** Adds a method that the types of the engine omit: `validate` checks a client without storing it. */
type EngineClients = Provider['Client'] & { validate(metadata: ClientMetadata): Promise<void> };

/**
 * Checks a client before it is registered. @throws errors.InvalidClientMetadata if the engine would refuse the client
 * at its first use, or if the document of its sector does not list it or cannot be read
 */
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
    if (error instanceof StoreUnavailable) throw error;
    return error instanceof Error
      ? ((error as { error_description?: string }).error_description ?? error.message)
      : 'unknown';
  }
}

/** Reason why the document of a sector does not confirm a client. `isUnreached` is true if it could not be fetched. */
interface SectorFault {
  reason: string;
  isUnreached: boolean;
}

/**
 * Checks that the document of the sector lists the client's redirect URIs (OpenID Connect Dynamic Client Registration
 * §5), or its `jwks_uri` if it has no redirect URIs (CIBA Core §4). Otherwise anybody could register a client that gets
 * the same pairwise subjects as another party's apps.
 */
async function sectorFault(client: Client, { fetch }: Pick<Calls, 'fetch'>): Promise<SectorFault | undefined> {
  const { sector_identifier_uri: uri, redirect_uris: redirects, jwks_uri: keys } = client;
  if (uri === undefined) return undefined;
  const listed = await readList(uri, fetch);
  if (!Array.isArray(listed)) return listed;
  const wanted = redirects.length > 0 ? redirects : keys === undefined ? [] : [keys];
  const missing = wanted.filter((one) => !listed.includes(one));
  if (missing.length === 0) return undefined;
  return { reason: `sector_identifier_uri does not list ${missing.join(' and ')}`, isUnreached: false };
}

async function readList(uri: string, fetch: Calls['fetch']): Promise<unknown[] | SectorFault> {
  const unreached = (why: string) => ({ reason: `sector_identifier_uri cannot be read: ${why}`, isUnreached: true });
  try {
    const response = await fetch(uri, { headers: { accept: 'application/json' } });
    if (response.status !== 200) return unreached(`it answers ${response.status}`);
    const listed: unknown = await response.json();
    if (Array.isArray(listed)) return listed as unknown[];
    return { reason: 'sector_identifier_uri must answer a JSON array of redirect URIs', isUnreached: false };
  } catch (error) {
    if (error instanceof SyntaxError)
      return { reason: 'sector_identifier_uri must answer a JSON array of redirect URIs', isUnreached: false };
    return unreached(error instanceof Error ? error.message : 'unknown');
  }
}
