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
 * Configures clients whose id is the URL of a metadata document (draft-ietf-oauth-client-id-metadata-document). The
 * engine fetches and caches the document. At each use, the document must meet the rules for self-registered clients.
 */
export function metadataDocuments(dependencies: { config: Config; grants: Store }): Feature {
  const { config, grants } = dependencies;
  const { enabled, allow, max_per_hour: most } = config.client_id_metadata_documents;
  const hosts = new Set(allow.map((host) => host.toLowerCase().replace(/:443$/, '')));
  return {
    enabled,
    ack: 'draft-02',
    // The engine fetches a document without caching headers again after a minute. It caches none for longer than a day.
    cacheDuration: { min: 60, max: 24 * HOUR },
    async allowFetch(context: KoaContextWithOIDC | undefined, id: string) {
      const { host, hostname, pathname } = new URL(id);
      // The draft requires a path, because many clients may share a host.
      if (pathname === '/' || id.length > 128 || !(hosts.has('*') || hosts.has(host) || hosts.has(hostname)))
        return false;
      // A page of this server may look up the app outside the engine. Then no client address is known here, so the
      // fetch counts for the app's host.
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
      // The engine's client has all members of the document, even forbidden ones. So they are removed before the
      // checked ones are set.
      for (const name of Object.keys(client)) Reflect.deleteProperty(client, name);
      Object.assign(client, held);
      return true;
    },
  };
}

/** Reads the client's document by the rules for self-registered clients. @throws errors.InvalidClientMetadata */
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
