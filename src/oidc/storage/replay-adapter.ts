import type { Adapter } from 'oidc-provider';
import { sha256 } from '../../lib/hash.ts';
import { keyspace, type Store } from '../../storage/store.ts';
import { lifetime, unsupported } from './adapter-verbs.ts';

const replayKey = keyspace<{ seen: true }>('replay');

/** A claim's life until the engine says how long the proof itself lives, and the longest that it may say, in seconds. */
export const LONGEST_PROOF = 3600;

/**
 * Proofs that may be shown once (DPoP proofs, client assertions). The engine looks first and writes later, so two
 * at once would both pass; here the look itself claims the name.
 */
export function replayAdapter(grants: Store): Adapter {
  const keyOf = (id: string): string => replayKey(sha256(id));
  return {
    ...unsupported,
    async find(id) {
      const claimed = await grants.create(keyOf(id), { seen: true }, { ttl: LONGEST_PROOF });
      return claimed ? undefined : { jti: id, kind: 'ReplayDetection' };
    },
    async upsert(id, _payload, ttl) {
      await grants.set(keyOf(id), { seen: true }, lifetime(Math.min(ttl ?? LONGEST_PROOF, LONGEST_PROOF)));
    },
  };
}
