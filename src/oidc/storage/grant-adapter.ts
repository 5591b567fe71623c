import { Provider, type Adapter, type AdapterPayload, type KoaContextWithOIDC } from 'oidc-provider';
import { keyspace, type Key, type Store, type Stored } from '../../storage/store.ts';
import { update } from '../../storage/update.ts';
import { lifetime, unsupported } from './adapter-verbs.ts';

/** What a person let a client do, in the engine's shape. */
type Grant = AdapterPayload & {
  openid?: { scope?: string; claims?: string[] };
  /** Scopes by resource. */
  resources?: Record<string, string>;
};

const grantKey: (id: string) => Key<Grant> = keyspace<Grant>('grant');

/**
 * Grants only ever grow. The engine writes the whole of one, so of parallel requests the last would take back what the
 * others had been granted; here what any of them wrote stays. One that was revoked meanwhile does not come back.
 */
export function grantAdapter(grants: Store): Adapter {
  const seenBy = new WeakMap<KoaContextWithOIDC, Map<string, Stored<Grant>>>();
  return {
    ...unsupported,
    async find(id) {
      const stored = await grants.get(grantKey(id));
      if (stored !== undefined && Provider.ctx !== undefined) {
        seenBy.set(Provider.ctx, new Map([...(seenBy.get(Provider.ctx) ?? []), [id, stored]]));
      }
      return stored && structuredClone(stored.value);
    },
    async upsert(id, payload, ttl) {
      const seen = Provider.ctx && seenBy.get(Provider.ctx)?.get(id);
      if (seen === undefined && (await grants.create(grantKey(id), payload, lifetime(ttl)))) return;
      const read = seen ?? (await grants.get(grantKey(id)));
      await update(grants, grantKey(id), read, (now) => unite(payload, now), lifetime(ttl));
    },
    async destroy(id) {
      await grants.delete(grantKey(id));
    },
  };
}

function unite(ours: Grant, now: Grant): Grant {
  const claims = [...new Set([...(ours.openid?.claims ?? []), ...(now.openid?.claims ?? [])])];
  const openid = {
    ...ours.openid,
    ...scopes({ scope: ours.openid?.scope }, { scope: now.openid?.scope }),
    ...(claims.length > 0 && { claims }),
  };
  return { ...ours, openid, resources: scopes(ours.resources ?? {}, now.resources ?? {}) };
}

/** Scopes by name, of both. */
function scopes(a: Record<string, string | undefined>, b: Record<string, string | undefined>): Record<string, string> {
  const united = new Map<string, string>();
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const all = [a[name], b[name]].flatMap((text) => text?.split(' ') ?? []);
    if (all.length > 0) united.set(name, [...new Set(all)].join(' '));
  }
  return Object.fromEntries(united);
}
