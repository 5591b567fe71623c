import { AsyncLocalStorage } from 'node:async_hooks';
import { Provider, type Client } from 'oidc-provider';
import type { Config } from '../../config/schema.ts';
import { publicJwk } from '../../config/values.ts';
import { widestBlock } from '../../http/address-block.ts';
import { clientAddress } from '../../http/request-facts.ts';
import { OutgoingRefused } from '../../outgoing/outgoing-fetch.ts';
import type { Calls, Outgoing } from '../../outgoing/outgoing.ts';
import { policyOf } from './client-metadata.ts';

/**
 * Shortest and longest time in seconds for which a client's keys are cached. Between them, `max-age` of the response
 * decides.
 */
const KEPT = { least: 60, most: 600 };
/** Seconds for which cached keys are used if they cannot be fetched again. */
const GOOD = 3600;

export interface ClientCalls {
  /** A `fetch` for the engine. The engine does not pass the client, so `noted` records it. */
  readonly fetch: typeof fetch;
  /** Runs a method of the engine, and records the client for which it makes calls. */
  noted(client: Client, isForKeys: boolean, call: () => Promise<void>): Promise<void>;
}

interface Call {
  client: Client;
  isForKeys: boolean;
}

/**
 * Makes the engine's calls to URLs that clients named. The operator's rules for outgoing calls apply to clients that
 * the operator registered. They also apply to metadata documents, and to the clients that these describe, on hosts that
 * the operator listed. All other calls follow the rules for strangers.
 */
export function clientCalls({ config, outgoing }: { config: Config; outgoing: Outgoing }): ClientCalls {
  const calls = new AsyncLocalStorage<Call>();
  // Hosts that the operator allows by name for metadata documents. The wildcard `*` matches none of them.
  const documentHosts = new Set(
    config.client_id_metadata_documents.allow.map((host) => host.toLowerCase().replace(/:443$/, '')),
  );
  const isDocumentHost = (url: URL) => documentHosts.has(url.host) || documentHosts.has(url.hostname);
  const sideOf = (url: URL, client: Client | undefined): Calls => {
    const isRegisteredHere = client !== undefined && !policyOf(client).isSelfDescribed;
    const isDescribed = client === undefined || 'clientIdMetadataDocument' in client;
    return isRegisteredHere || (isDescribed && isDocumentHost(url)) ? outgoing.ofOperator : outgoing.ofStrangers;
  };
  return {
    async fetch(input, init) {
      const { client, isForKeys = false } = calls.getStore() ?? {};
      const url = new URL(input instanceof Request ? input.url : input);
      const side = sideOf(url, client);
      if (isForKeys) return keySet(side, url);
      const response = await side.fetch(input, init);
      if (client === undefined) refuseUnlessJson(response);
      return response;
    },
    noted: (client, isForKeys, call) => calls.run({ client, isForKeys }, call),
  };
}

interface CallDependencies {
  calls: Pick<ClientCalls, 'noted'>;
}

/** Records the client that `backchannelLogout` or `backchannelPing` calls. */
export function noteCall<Given extends unknown[]>(
  engine: (...given: Given) => Promise<void>,
  { calls }: CallDependencies,
) {
  return function callClient(this: Client, ...given: Given): Promise<void> {
    return calls.noted(this, false, () => engine.apply(this, given));
  };
}

/** Records the client whose keys the engine's key store fetches. */
export function noteKeyFetch(engine: () => Promise<void>, { calls }: CallDependencies) {
  return function refresh(this: { client: Client }): Promise<void> {
    return calls.noted(this.client, true, () => engine.call(this));
  };
}

/** Returns the keys of a client as a response, because the engine parses the keys itself. */
async function keySet({ keySets }: Calls, url: URL): Promise<Response> {
  const context = Provider.ctx;
  const payer = context === undefined ? undefined : widestBlock(clientAddress(context));
  const known = await keySets.at(url.href, { maxAge: KEPT.most, payer });
  const set = keySets.age(known) > maxAgeOf(known) ? await keySets.at(url.href, { maxAge: KEPT.least, payer }) : known;
  if (keySets.age(set) > GOOD) throw new OutgoingRefused(`${url.host} has no JWK set, or too much was fetched already`);
  const headers = set.cacheControl === '' ? {} : { 'cache-control': set.cacheControl };
  // A key that could not be registered inline is not used from a URL either.
  const keys = set.keys.filter((key) => publicJwk.safeParse(key).success);
  return Response.json({ keys }, { headers });
}

function maxAgeOf({ cacheControl }: { cacheControl: string }): number {
  const stated = Number(/(?:^|[\s,])max-age=(\d+)/.exec(cacheControl)?.[1] ?? 0);
  return Math.min(Math.max(stated, KEPT.least), KEPT.most);
}

/**
 * Refuses a metadata document that is not JSON. Otherwise anybody who may publish a page on somebody else's site could serve a document from there (draft-ietf-oauth-client-id-metadata-document).
 */
function refuseUnlessJson(response: Response): void {
  const [type = ''] = (response.headers.get('content-type') ?? '').split(';');
  if (/^application\/([\w.-]+\+)?json$/i.test(type.trim())) return;
  throw new OutgoingRefused(`answered with ${type.trim() === '' ? 'no content type' : type.trim()} instead of JSON`);
}
