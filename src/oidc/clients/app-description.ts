import type { Client } from 'oidc-provider';
import type { PageData } from '../../http/pages.ts';
import { policyOf } from './client-metadata.ts';

type AppInWords = Pick<PageData['consent'], 'clientName' | 'clientUri' | 'logo' | 'policyUri' | 'tosUri' | 'comesFrom'>;

/**
 * Describes an app to the person who decides about its access. @param redirectUri the redirect URI of the request; a
 * device has none
 */
export function appInWords(client: Client, redirectUri: string | undefined): AppInWords {
  const { isSelfDescribed } = policyOf(client);
  return {
    clientName: client.clientName ?? client.clientId,
    ...(client.clientUri === undefined ? {} : { clientUri: client.clientUri }),
    ...(client.logoUri === undefined ? {} : { logo: { uri: client.logoUri, isOfOperator: !isSelfDescribed } }),
    ...(client.policyUri === undefined ? {} : { policyUri: client.policyUri }),
    ...(client.tosUri === undefined ? {} : { tosUri: client.tosUri }),
    ...(isSelfDescribed ? { comesFrom: originOf(client, redirectUri) } : {}),
  };
}

/**
 * Returns the app's origin as the page shows it: the host of its metadata document or of its redirect URI, or a device.
 */
function originOf({ clientId }: Client, redirectUri: string | undefined): string {
  if (clientId.startsWith('https://')) return new URL(clientId).host;
  if (redirectUri === undefined) return 'a device';
  return new URL(redirectUri).host || 'this device';
}
