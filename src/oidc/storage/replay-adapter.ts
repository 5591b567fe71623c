import type { Middleware } from 'koa';
import { Provider, type Adapter, type KoaContextWithOIDC } from 'oidc-provider';
import { sha256 } from '../../lib/hash.ts';
import { keyspace, type Key, type Store } from '../../storage/store.ts';
import { policyOf } from '../clients/client-metadata.ts';
import { lifetime, unsupported } from './adapter-verbs.ts';
import type { PendingRequests } from './pending-requests.ts';

interface Seen {
  seen: true;
}

const replayKey = keyspace<Seen>('replay');

/** The longest life that a signed proof may have, in seconds. */
export const LONGEST_PROOF = 3600;

/** Seconds after its end, or before its beginning, in which the engine still accepts a proof. */
export const CLOCK_TOLERANCE = 15;

/**
 * Seconds by which a DPoP proof may lie ahead (RFC 9449 §11.1). The engine has it remembered as if it had been made now,
 * so it would be accepted for as long again after it was forgotten.
 */
const AHEAD = 300;

/** Forgets the proofs of a request that was refused. */
const forget = new WeakMap<KoaContextWithOIDC, () => Promise<unknown>>();

export interface ReplayOptions {
  grants: Store;
  /** The most by which a node may differ from the store, in seconds. */
  clockSkew: number;
  pending: Pick<PendingRequests, 'admitProof'>;
}

/**
 * Proofs that may be shown once (DPoP proofs, client assertions). The engine looks first and writes later, so two
 * at once would both pass; here the look itself claims the name. A claim outlives every moment at which any node accepts
 * the proof, also where the node that saw it first is ahead of the store and another one is behind.
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
 * Forgets the proof in a token request of a public client that was refused: anybody can send such requests, and nothing
 * was given for the proof. It is not counted, since all of a network's people refresh from one address.
 */
export const forgetRefusedProofs: Middleware = async (context, next) => {
  await next();
  if (context.status >= 400 && context.status < 500) await forget.get(context as KoaContextWithOIDC)?.();
};

/**
 * A token request leaves little behind that is not given a token; other requests count unless the operator knows the
 * client.
 */
function isUncounted(context: KoaContextWithOIDC): boolean {
  const { client, route } = context.oidc;
  if (client === undefined || policyOf(client).isSelfDescribed || route === 'authorization') return false;
  return route === 'token' || !isPublic(context);
}

function isPublic({ oidc: { client } }: KoaContextWithOIDC): boolean {
  return client?.clientAuthMethod === 'none';
}
