import assert from 'node:assert/strict';
import { RefreshTokens } from '../../../src/grants/refresh/refresh-tokens.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { systemRandom } from '../../../src/lib/random.ts';
import { everyMember } from '../../../src/storage/every-member.ts';
import { openStore } from '../../../src/storage/open-store.ts';
import type { Store } from '../../../src/storage/store.ts';

/** How many tokens of each kind could be used, in the store, of the family that a refresh token belongs to. */
export async function liveTokens(url: string, member: string): Promise<{ refresh: number; access: number }> {
  const grants = await openStore(url, systemClock);
  try {
    return await liveTokensIn(grants, member);
  } finally {
    await grants.close();
  }
}

export async function liveTokensIn(grants: Store, member: string): Promise<{ refresh: number; access: number }> {
  const token = await new RefreshTokens(grants, systemClock, systemRandom).find(member);
  assert.ok(token?.payload.grantId !== undefined, 'the token is not in the store');
  const found = { refresh: 0, access: 0 };
  for await (const keys of everyMember<{ use?: unknown }>(grants, `tokens-of-grant:${token.payload.grantId}`)) {
    for (const [at, stored] of (await grants.getMany(keys)).entries()) {
      if (stored === undefined || stored.value.use !== undefined) continue;
      if (keys[at]?.startsWith('refresh-token:')) found.refresh += 1;
      if (keys[at]?.startsWith('access-token:')) found.access += 1;
    }
  }
  return found;
}
