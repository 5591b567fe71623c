import { hmacSha256 } from '../../lib/hash.ts';
import type { Random } from '../../lib/random.ts';
import { seal, unseal } from '../../lib/seal.ts';
import { sealedKeyspace, type Store } from '../../storage/store.ts';

export interface UserCodes {
  /** @returns false if the code belongs to another device */
  remember(userCode: string, deviceCode: string, options: { ttl?: number }): Promise<boolean>;
  deviceCodeOf(userCode: string): Promise<string | undefined>;
}

/**
 * Record that maps the code that a person types to the device code. The device code is sealed as plain text, not as
 * JSON.
 */
const userCodeKey = sealedKeyspace<{ sealed: string }>('user-code');

/**
 * Opens the user codes. A code has only 34 bits (RFC 8628 §6.1), so somebody who steals the store could try all of
 * them. The record's name and sealing key are therefore derived with a key that is not in the store.
 */
export function openUserCodes({ grants, random, key }: { grants: Store; random: Random; key: Buffer }): UserCodes {
  const secretOf = (userCode: string): string => hmacSha256(key, userCode);

  async function deviceCodeOf(userCode: string): Promise<string | undefined> {
    const secret = secretOf(userCode);
    const stored = await grants.get(userCodeKey(secret));
    return stored && unseal(secret, stored.value.sealed);
  }

  return {
    deviceCodeOf,
    async remember(userCode, deviceCode, options) {
      const secret = secretOf(userCode);
      const sealed = seal(secret, deviceCode, random);
      if (await grants.create(userCodeKey(secret), { sealed }, options)) return true;
      return (await deviceCodeOf(userCode)) === deviceCode;
    },
  };
}
