import { AsyncLocalStorage } from 'node:async_hooks';
import { Provider, type Client } from 'oidc-provider';
import type { Config } from '../../config/schema.ts';
import { publicJwk } from '../../config/values.ts';
import { widestBlock } from '../../http/address-block.ts';
import { clientAddress } from '../../http/request-facts.ts';
import { OutgoingRefused } from '../../outgoing/outgoing-fetch.ts';
import type { Calls, Outgoing } from '../../outgoing/outgoing.ts';
import { policyOf } from './client-metadata.ts';

/** Shortest and longest time in seconds for which a client's keys are cached; its server chooses in between. */
const KEPT = { least: 60, most: 600 };
/** Seconds for which keys stay valid if the budget for fetches is used up. */
const GOOD = 3600;

export interface ClientCalls {
  /** A `fetch` for the engine, whose calls do not name their client. */
  readonly fetch: typeof fetch;
  /** Records the client for which an engine method makes calls. */
  noted(client: Client, isForKeys: boolean, call: () => Promise<void>): Promise<void>;
}

interface Call {
  client: Client;
  isForKeys: boolean;
}

/**
 * Makes the engine's calls to URLs that clients named. The calls of a self-registered client never profit from the
 * operator's host list, and a URL that no known client named counts as a stranger's.
 */
export function clientCalls({ config, outgoing }: { config: Config; outgoing: Outgoing }): ClientCalls {
  const calls = new AsyncLocalStorage<Call>();
  // A host counts as the operator's if the document list names it; a wildcard is not enough.
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

interface Parts {
  calls: Pick<ClientCalls, 'noted'>;
}

/** Records the client that `backchannelLogout` or `backchannelPing` calls. */
export function noteCall<Given extends unknown[]>(engine: (...given: Given) => Promise<void>, { calls }: Parts) {
  return function callClient(this: Client, ...given: Given): Promise<void> {
    return calls.noted(this, false, () => engine.apply(this, given));
  };
}

/** Records the client whose key set is fetched, which the engine's key store knows. */
export function noteKeyFetch(engine: () => Promise<void>, { calls }: Parts) {
  return function refresh(this: { client: Client }): Promise<void> {
    return calls.noted(this.client, true, () => engine.call(this));
  };
}

/** Returns a response like the one that the engine would have fetched, because it parses the keys itself. */
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
 * A page that a user writes on somebody's site is no document of that site
 * (draft-ietf-oauth-client-id-metadata-document).
 */
function refuseUnlessJson(response: Response): void {
  const [type = ''] = (response.headers.get('content-type') ?? '').split(';');
  if (/^application\/([\w.-]+\+)?json$/i.test(type.trim())) return;
  throw new OutgoingRefused(`answered with ${type.trim() === '' ? 'no content type' : type.trim()} instead of JSON`);
}
