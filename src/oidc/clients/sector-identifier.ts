import type { Client } from '../../clients/clients.ts';
import type { Calls } from '../../outgoing/outgoing.ts';

/** Reason why a sector's document does not list the client; `isUnreached` if it could not be fetched. */
export interface SectorFault {
  reason: string;
  isUnreached: boolean;
}

/**
 * Checks that the sector's document lists the client's redirect URIs (OpenID Connect Dynamic Client Registration §5),
 * and its keys if it uses CIBA (CIBA Core §4). Otherwise anybody could register for the subjects of another's apps.
 */
export async function sectorFault(client: Client, { fetch }: Pick<Calls, 'fetch'>): Promise<SectorFault | undefined> {
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
