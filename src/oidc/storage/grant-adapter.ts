import { Provider, type Adapter, type KoaContextWithOIDC } from 'oidc-provider';
import { mergeConsents } from '../../accounts/consents.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Store, Stored } from '../../storage/store.ts';
import { update } from '../../storage/update.ts';
import { startOf, unsupported } from './adapter-verbs.ts';
import { consentOf, grantCounts, grantKey, grantOptions, type GrantRecord } from '../../sessions/grant-records.ts';
import { signInStart } from '../../sessions/session-records.ts';

/**
 * Adapter for grants that merges concurrent writes, because a grant's access only ever grows. The engine writes a whole
 * grant, so the last of several parallel requests would undo the access that the others added. A grant that was revoked
 * meanwhile stays revoked.
 */
export function grantAdapter(grants: Store, clock: Clock): Adapter {
  const seenBy = new WeakMap<KoaContextWithOIDC, Map<string, Stored<GrantRecord>>>();
  return {
    ...unsupported,
    async find(id) {
      const stored = await grants.get(grantKey(id));
      if (stored === undefined || !(await grantCounts(grants, stored.value))) return undefined;
      if (Provider.ctx !== undefined) {
        seenBy.set(Provider.ctx, new Map([...(seenBy.get(Provider.ctx) ?? []), [id, stored]]));
      }
      return structuredClone(stored.value);
    },
    async upsert(id, payload, ttl) {
      const key = grantKey(id);
      const options = grantOptions(payload, ttl);
      const startedAt = signInStart(Provider.ctx) ?? startOf(Provider.ctx, clock);
      const seen = Provider.ctx && seenBy.get(Provider.ctx)?.get(id);
      if (seen === undefined && (await grants.create(key, { ...payload, startedAt }, options))) return;
      const change = (now: GrantRecord) => (now.endedAt === undefined ? unite(payload, now) : undefined);
      await update(grants, key, seen ?? (await grants.get(key)), change, options);
    },
    // The server's own `revoke` ends the grant, in a way that concurrent requests notice.
    destroy: () => Promise.resolve(),
  };
}

function unite(ours: GrantRecord, now: GrantRecord): GrantRecord {
  const { startedAt } = now;
  const { scopes, claims = [], resources } = mergeConsents(consentOf(ours), consentOf(now));
  const openid = {
    ...ours.openid,
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
    ...(claims.length > 0 && { claims: [...claims] }),
  };
  const texts = Object.fromEntries(Object.entries(resources).map(([name, allowed]) => [name, allowed.join(' ')]));
  return { ...ours, openid, resources: texts, ...(startedAt !== undefined && { startedAt }) };
}
