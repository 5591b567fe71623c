import { Provider, type Adapter, type KoaContextWithOIDC } from 'oidc-provider';
import type { Clock } from '../../lib/clock.ts';
import type { Store, Stored } from '../../storage/store.ts';
import { update } from '../../storage/update.ts';
import { startOf, unsupported } from './adapter-verbs.ts';
import { grantCounts, grantKey, grantOptions, type GrantRecord } from '../../sessions/grant-records.ts';
import { signInStart } from '../../sessions/session-records.ts';

/**
 * Merges writes of grants, which only ever grow. The engine writes a whole grant, so the last of parallel requests
 * would undo what the others granted. A grant that was revoked meanwhile stays revoked.
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
    // The caller has already revoked the grant, in a way that requests under way notice.
    destroy: () => Promise.resolve(),
  };
}

function unite(ours: GrantRecord, now: GrantRecord): GrantRecord {
  const { startedAt } = now;
  const claims = [...new Set([...(ours.openid?.claims ?? []), ...(now.openid?.claims ?? [])])];
  const openid = {
    ...ours.openid,
    ...scopes({ scope: ours.openid?.scope }, { scope: now.openid?.scope }),
    ...(claims.length > 0 && { claims }),
  };
  const resources = scopes(ours.resources ?? {}, now.resources ?? {});
  return { ...ours, openid, resources, ...(startedAt !== undefined && { startedAt }) };
}

/** Merges the scopes of both by resource. */
function scopes(a: Record<string, string | undefined>, b: Record<string, string | undefined>): Record<string, string> {
  const united = new Map<string, string>();
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const all = [a[name], b[name]].flatMap((text) => text?.split(' ') ?? []);
    if (all.length > 0) united.set(name, [...new Set(all)].join(' '));
  }
  return Object.fromEntries(united);
}
