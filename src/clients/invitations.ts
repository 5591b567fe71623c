import type { Clock } from '../lib/clock.ts';
import { sha256 } from '../lib/hash.ts';
import { secretToken, type Random } from '../lib/random.ts';
import { keyspace, type Store } from '../storage/store.ts';
import { update } from '../storage/update.ts';

/** A permission to register clients, kept under the hash of its initial access token (RFC 7591 §3). */
interface Invitation {
  /** Number of clients that may still be registered. */
  uses: number;
}

const invitationKey = keyspace<Invitation>('invitation');

export interface Invitations {
  /** Makes an invitation. @param ttl in seconds @returns the initial access token, which the server does not store */
  make(invitation: { uses: number; ttl: number }): Promise<string>;
  isGood(token: string): Promise<boolean>;
  /** Uses the invitation once. @returns false if it is used up or has expired */
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
      const stored = await records.get(key);
      const rest = Math.max(1, Math.ceil(((stored?.expiresAt ?? 0) - clock.now()) / 1000));
      const once = ({ uses }: Invitation): Invitation => ({ uses: uses - 1 });
      // The last use deletes the invitation.
      const options = ({ uses }: Invitation) => ({ ttl: uses > 0 ? rest : 0 });
      return (await update(records, key, stored, once, options)) !== undefined;
    },
  };
}
