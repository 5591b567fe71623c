import type { ClaimPlace, ClaimSource, PlacedClaims } from '../config/sections/claims-schema.ts';
import type { Account } from './accounts.ts';
import { accountClaims } from './claims.ts';

/** The scope that a third-party app needs to receive each source of a claim; `sub` needs none. */
const SCOPE: Readonly<Partial<Record<ClaimSource, string>>> = {
  email: 'email',
  email_verified: 'email',
  name: 'profile',
  updated_at: 'profile',
  roles: 'roles',
};

/** The person whom claims are about. */
export interface Person {
  account: Account;
  /** The subject by which the client knows them. */
  sub: string;
  /** Tells whether a scope was granted. For the operator's own software every scope counts as granted. */
  isOpen: (scope: string) => boolean;
}

/**
 * Returns the claims that the operator has configured for a client or a resource, limited to one place and to the
 * granted scopes. @param person absent if nobody signed in; constant claims are returned all the same
 */
export function mappedClaims(
  claims: PlacedClaims | undefined,
  place: ClaimPlace,
  person: Person | undefined,
): Record<string, unknown> {
  const here = Object.entries(claims ?? {}).filter(([, claim]) => claim.in.includes(place));
  const said = here.map(([name, { from, value }]) => [name, from === undefined ? value : valueOf(from, person)]);
  return Object.fromEntries(said.filter(([, value]) => value !== undefined)) as Record<string, unknown>;
}

function valueOf(source: ClaimSource, person: Person | undefined): unknown {
  const scope = SCOPE[source];
  if (person === undefined || (scope !== undefined && !person.isOpen(scope))) return undefined;
  const { account, sub } = person;
  return source === 'sub' ? sub : accountClaims(account, ['profile', 'email', 'roles'])[source];
}
