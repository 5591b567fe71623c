import { AsyncLocalStorage } from 'node:async_hooks';
import { Provider, type Client } from 'oidc-provider';
import type { Config } from '../../config/schema.ts';
import { publicJwk } from '../../config/values.ts';
import { widestBlock } from '../../http/address-block.ts';
import { clientAddress } from '../../http/client-address.ts';
import { OutgoingRefused } from '../../outgoing/outgoing-fetch.ts';
import type { Calls, Outgoing } from '../../outgoing/outgoing.ts';
import { policyOf } from './client-metadata.ts';

/** In seconds: how long the keys of a client are kept at least and at most, between which its server chooses. */
const KEPT = { least: 60, most: 600 };
/** In seconds: how long they are good while they cannot be fetched because too much was fetched already. */
const GOOD = 3600;

interface KeyStore {
  refresh(): Promise<void>;
}

/** Methods of the engine's clients that its types do not name. */
interface CallingClient extends Client {
  asymmetricKeyStore: KeyStore;
  backchannelLogout(account: string, sid: string): Promise<void>;
  backchannelPing(request: unknown): Promise<void>;
}

export interface ClientCalls {
  /** For the engine, whose calls do not say which client named the place. */
  readonly fetch: typeof fetch;
  /** Notes for which client this engine calls. */
  watch(provider: Provider): void;
}

interface Call {
  client: Client;
  isForKeys: boolean;
}

/**
 * The calls that the engine makes to places that clients named. Those of a client which nobody here registered never profit
 * from the operator's list; a place that no known client named is a stranger's.
 */
export function clientCalls({ config, outgoing }: { config: Config; outgoing: Outgoing }): ClientCalls {
  const calls = new AsyncLocalStorage<Call>();
  // A host that the operator lists for documents by its name, and not by the star, is a place of the operator's.
  const documentHosts = new Set(config.client_id_metadata_documents.allow.map((host) => host.toLowerCase()));
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
    watch({ Client }) {
      const find = Client.find.bind(Client);
      Client.find = async (id) => {
        const client = await find(id);
        if (client?.jwksUri !== undefined) noteKeyFetches(client as CallingClient, calls);
        return client;
      };
      const prototype = Client.prototype as CallingClient;
      const logout = Reflect.get<CallingClient, 'backchannelLogout'>(prototype, 'backchannelLogout');
      const ping = Reflect.get<CallingClient, 'backchannelPing'>(prototype, 'backchannelPing');
      prototype.backchannelLogout = function backchannelLogout(account, sid) {
        return calls.run({ client: this, isForKeys: false }, () => logout.call(this, account, sid));
      };
      prototype.backchannelPing = function backchannelPing(request) {
        return calls.run({ client: this, isForKeys: false }, () => ping.call(this, request));
      };
    },
  };
}

function noteKeyFetches(client: CallingClient, calls: AsyncLocalStorage<Call>): void {
  const store = client.asymmetricKeyStore;
  if (Object.hasOwn(store, 'refresh')) return;
  const refresh = Reflect.get<KeyStore, 'refresh'>(store, 'refresh');
  store.refresh = () => calls.run({ client, isForKeys: true }, () => refresh.call(store));
}

/** As the engine would have fetched it: it makes its own keys of it. */
async function keySet({ keySets }: Calls, url: URL): Promise<Response> {
  const context = Provider.ctx;
  const payer = context === undefined ? undefined : widestBlock(clientAddress(context));
  const known = await keySets.at(url.href, { maxAge: KEPT.most, payer });
  const set = keySets.age(known) > maxAgeOf(known) ? await keySets.at(url.href, { maxAge: KEPT.least, payer }) : known;
  if (keySets.age(set) > GOOD) throw new OutgoingRefused(`${url.host} has no JWK set, or too much was fetched already`);
  const headers = set.cacheControl === '' ? {} : { 'cache-control': set.cacheControl };
  // Keys that could not be registered here are not used from there either.
  const keys = set.keys.filter((key) => publicJwk.safeParse(key).success);
  return Response.json({ keys }, { headers });
}

function maxAgeOf({ cacheControl }: { cacheControl: string }): number {
  const stated = Number(/(?:^|[\s,])max-age=(\d+)/.exec(cacheControl)?.[1] ?? 0);
  return Math.min(Math.max(stated, KEPT.least), KEPT.most);
}

/** A page that somebody can write on a site of another is no document of the site (draft-ietf-oauth-client-id-metadata-document). */
function refuseUnlessJson(response: Response): void {
  const [type = ''] = (response.headers.get('content-type') ?? '').split(';');
  if (/^application\/([\w.-]+\+)?json$/i.test(type.trim())) return;
  throw new OutgoingRefused(`answered with ${type.trim() === '' ? 'no content type' : type.trim()} instead of JSON`);
}
