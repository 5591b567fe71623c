import type { Fault } from './problems.ts';
import type { Config, Draft } from './schema.ts';

type Role = 'grants' | 'records';

/** Tells whether the store of a role acknowledges a write only once the replicas have it. */
export function isReplicated({ durability }: Config['stores'], role: Role): boolean {
  return (typeof durability === 'object' ? durability[role] : durability) === 'replicated';
}

/** Refuses replicated writes for a SQLite file, which has no replicas. */
export function durabilityIsPossible({ stores }: Draft): Fault[] {
  if (stores === undefined) return [];
  const roles: Role[] = ['grants', 'records'];
  return roles.flatMap((role) => {
    const url = stores[role] ?? stores.grants;
    if (!isReplicated(stores, role) || !url.startsWith('sqlite:')) return [];
    const path = typeof stores.durability === 'object' ? ['stores', 'durability', role] : ['stores', 'durability'];
    return [
      {
        path,
        message: `must not be replicated for ${role}, which are in a file: only Redis and PostgreSQL have replicas`,
      },
    ];
  });
}
