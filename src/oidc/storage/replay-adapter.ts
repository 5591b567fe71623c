import type { Middleware } from 'koa';
import { Provider, type Adapter, type KoaContextWithOIDC } from 'oidc-provider';
import { sha256 } from '../../lib/hash.ts';
import { keyspace, type Key, type Store } from '../../storage/store.ts';
import { policyOf } from '../clients/client-metadata.ts';
import { unsupported } from './adapter-verbs.ts';
import { lifetime } from '../../sessions/session-records.ts';
import type { PendingRequests } from './pending-requests.ts';

interface Seen {
  seen: true;
}

const replayKey = keyspace<Seen>('replay');

/** Longest life of a signed proof, in seconds. */
export const LONGEST_PROOF = 3600;

/** Seconds for which the engine accepts a proof before its life begins and after it ends. */
export const CLOCK_TOLERANCE = 15;

/**
 * Seconds by which the `iat` of a DPoP proof may lie in the future (RFC 9449 §11.1). The engine remembers such a proof
 * as if it were made now. Without these extra seconds, it would forget the proof too early and could accept it again.
 */
const AHEAD = 300;

/** Functions that forget the proof of a current request, in case the server refuses the request. */
const forget = new WeakMap<KoaContextWithOIDC, () => Promise<unknown>>();

interface ReplayOptions {
  grants: Store;
  /** Largest difference in seconds between a node's clock and the store's. */
  clockSkew: number;
  pending: Pick<PendingRequests, 'admitProof'>;
}

/**
 * Adapter that accepts each proof once (DPoP proofs, client assertions). The engine reads first and writes later, so
 * two concurrent requests would both pass. Here the read itself claims the id. The claim lasts until no node accepts
 * the proof any more, even if one node's clock is ahead of the store's and another's is behind.
 */
export function replayAdapter({ grants, clockSkew, pending }: ReplayOptions): Adapter {
  const beyond = AHEAD + 2 * clockSkew;
  const longest = LONGEST_PROOF + CLOCK_TOLERANCE + beyond;
  const keyOf = (id: string): Key<Seen> => replayKey(sha256(id));

  /**
   * Counts a proof, to bound the number of remembered proofs. If there are too many, the proof counts as unused and the
   * request is refused.
   */
  async function admit(id: string, seconds: number): Promise<void> {
    const context = Provider.ctx;
    if (context === undefined) return;
    if (isUncounted(context)) {
      if (isPublic(context)) forget.set(context, () => grants.delete(keyOf(id)));
      return;
    }
    try {
      await pending.admitProof(seconds);
    } catch (error) {
      await grants.delete(keyOf(id));
      throw error;
    }
  }

  return {
    ...unsupported,
    async find(id) {
      const claimed = await grants.create(keyOf(id), { seen: true }, { ttl: longest });
      return claimed ? undefined : { jti: id, kind: 'ReplayDetection' };
    },
    async upsert(id, _payload, ttl = longest) {
      const seconds = Math.min(Math.max(ttl, 0) + beyond, longest);
      await admit(id, seconds);
      await grants.set(keyOf(id), { seen: true }, lifetime(seconds));
    },
  };
}

/**
 * Forgets the proof of a public client's refused token request. Anybody can send such requests, and the server has
 * issued nothing. These proofs are not counted, because many people refresh from one address.
 */
export const forgetRefusedProofs: Middleware = async (context, next) => {
  await next();
  if (context.status >= 400 && context.status < 500) await forget.get(context as KoaContextWithOIDC)?.();
};

/**
 * Tells whether a proof is exempt from the count, because a client that the operator registered sent it in a token
 * request or with client authentication.
 */
function isUncounted(context: KoaContextWithOIDC): boolean {
  const { client, route } = context.oidc;
  if (client === undefined || policyOf(client).isSelfDescribed || route === 'authorization') return false;
  return route === 'token' || !isPublic(context);
}

function isPublic({ oidc: { client } }: KoaContextWithOIDC): boolean {
  return client?.clientAuthMethod === 'none';
}
