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

/** The longest life that a signed proof may have, in seconds. */
export const LONGEST_PROOF = 3600;

/** Seconds after its end, or before its beginning, for which the engine accepts a proof. */
export const CLOCK_TOLERANCE = 15;

/**
 * Seconds by which a DPoP proof may lie ahead (RFC 9449 §11.1). The engine remembers it as if it had been made now, so
 * it would accept it again for as long after forgetting it.
 */
const AHEAD = 300;

/** Forgets the proofs of a request that was refused. */
const forget = new WeakMap<KoaContextWithOIDC, () => Promise<unknown>>();

interface ReplayOptions {
  grants: Store;
  /** Largest difference in seconds between a node's clock and the store's. */
  clockSkew: number;
  pending: Pick<PendingRequests, 'admitProof'>;
}

/**
 * Accepts proofs once (DPoP proofs, client assertions). The engine reads first and writes later, so two at once would
 * both pass; here the read itself claims the id. A claim outlives every moment at which any node accepts the proof,
 * even if the first node's clock is ahead of the store and another's is behind.
 */
export function replayAdapter({ grants, clockSkew, pending }: ReplayOptions): Adapter {
  const beyond = AHEAD + 2 * clockSkew;
  const longest = LONGEST_PROOF + CLOCK_TOLERANCE + beyond;
  const keyOf = (id: string): Key<Seen> => replayKey(sha256(id));

  /** Bounds the number of remembered proofs. A refused request has not used its proof. */
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
 * Forgets the proof of a refused token request from a public client: anybody can send such requests, and nothing was
 * issued. It is not counted, because many people refresh from one address.
 */
export const forgetRefusedProofs: Middleware = async (context, next) => {
  await next();
  if (context.status >= 400 && context.status < 500) await forget.get(context as KoaContextWithOIDC)?.();
};

/** Tells whether a proof is exempt from the count: those of the operator's clients, in token requests or with client authentication. */
function isUncounted(context: KoaContextWithOIDC): boolean {
  const { client, route } = context.oidc;
  if (client === undefined || policyOf(client).isSelfDescribed || route === 'authorization') return false;
  return route === 'token' || !isPublic(context);
}

function isPublic({ oidc: { client } }: KoaContextWithOIDC): boolean {
  return client?.clientAuthMethod === 'none';
}
