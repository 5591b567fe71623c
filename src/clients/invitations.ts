import type { Clock } from '../lib/clock.ts';
import { sha256 } from '../lib/hash.ts';
import { secretToken, type Random } from '../lib/random.ts';
import { keyspace, type Store } from '../storage/store.ts';

/** A permission to register clients, kept under the hash of its initial access token (RFC 7591 §3). */
interface Invitation {
  /** Number of clients that may still be registered. */
  uses: number;
}

const invitationKey = keyspace<Invitation>('invitation');

export interface Invitations {
  /** @param ttl in seconds @returns the initial access token, which is kept nowhere */
  make(invitation: { uses: number; ttl: number }): Promise<string>;
  isGood(token: string): Promise<boolean>;
  /** @returns false if the invitation is used up or has expired */
  use(token: string): Promise<boolean>;
}

export function openInvitations({
  records,
  clock,
  random,
}: {
  records: Store;
  clock: Clock;
  random: Random;
}): Invitations {
  return {
    async make({ uses, ttl }) {
      const token = secretToken(random);
      await records.create(invitationKey(sha256(token)), { uses }, { ttl });
      return token;
    },
    async isGood(token) {
      return (await records.get(invitationKey(sha256(token)))) !== undefined;
    },
    async use(token) {
      const key = invitationKey(sha256(token));
      for (let stored = await records.get(key); stored !== undefined; stored = await records.get(key)) {
        const { uses } = stored.value;
        if (uses <= 1) return (await records.take(key)) !== undefined;
        const ttl = Math.max(1, Math.ceil(((stored.expiresAt ?? 0) - clock.now()) / 1000));
        if (await records.replace(key, { uses: uses - 1 }, stored.version, { ttl })) return true;
      }
      return false;
    },
  };
}
