import { errors, type Client, type ClientMetadata, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';
import { selfDescribedClient, type Reach } from '../../clients/self-description.ts';
import { pathText } from '../../config/problems.ts';
import type { ClientConfig, Config } from '../../config/schema.ts';
import { addressBlock } from '../../http/address-block.ts';
import { clientAddress } from '../../http/request-facts.ts';
import { sha256 } from '../../lib/hash.ts';
import type { Counter, Store } from '../../storage/store.ts';
import { clientMetadata, POLICY, policyFor } from './client-metadata.ts';

type Feature = NonNullable<NonNullable<Configuration['features']>['clientIdMetadataDocument']>;

const HOUR = 3600;
const fetches = (block: string): Counter => `document-fetches:${sha256(block)}`;

/**
 * Clients whose id is the URL of a metadata document (draft-ietf-oauth-client-id-metadata-document). The engine fetches
 * and caches it. The document must meet the rules of a registration at each use.
 */
export function metadataDocuments(parts: { config: Config; grants: Store }): Feature {
  const { config, grants } = parts;
  const { enabled, allow, max_per_hour: most } = config.client_id_metadata_documents;
  const hosts = new Set(allow.map((host) => host.toLowerCase().replace(/:443$/, '')));
  return {
    enabled,
    ack: 'draft-02',
    // A document without caching headers is fetched again soon; none is cached for more than a day.
    cacheDuration: { min: 60, max: 24 * HOUR },
    async allowFetch(context: KoaContextWithOIDC | undefined, id: string) {
      const { host, hostname, pathname } = new URL(id);
      // Many clients may share a host; the draft requires a path.
      if (pathname === '/' || id.length > 128 || !(hosts.has('*') || hosts.has(host) || hosts.has(hostname)))
        return false;
      // If a page of this server asks again for an app that a person is on the way to, the app's host is charged.
      const asker = context === undefined ? host : addressBlock(clientAddress(context));
      return (await grants.increment(fetches(asker), 1, HOUR)) <= most;
    },
    allowClient(_context: unknown, client: Client) {
      const described = describedBy(client, config);
      const policy = policyFor(described, config.profile);
      if (policy.fault !== undefined) throw new errors.InvalidClientMetadata(policy.fault);
      const metadata = clientMetadata(described, config);
      const EngineClient = client.constructor as new (metadata: ClientMetadata) => Client;
      const held = new EngineClient({ ...metadata, [POLICY]: { ...policy, isSelfDescribed: true } });
      // Forbidden members of the document would reach the engine, so all members are removed first.
      for (const name of Object.keys(client)) Reflect.deleteProperty(client, name);
      Object.assign(client, held);
      return true;
    },
  };
}

/** @throws errors.InvalidClientMetadata */
function describedBy(client: Client, config: Config): ClientConfig {
  const reach: Reach = {
    ...config.client_id_metadata_documents,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_methods: ['none', 'private_key_jwt'],
  };
  const given = { clientId: client.clientId, secret: '', reach, config, isDocument: true };
  const read = selfDescribedClient(client.metadata(), given);
  if (!('faults' in read)) return read.value;
  const faults = read.faults.map(({ path, message }) => `${pathText(path)} ${message}`);
  throw new errors.InvalidClientMetadata(`the document of the client cannot be used: ${faults.join('; ')}`);
}
