import type { ClaimPlace, ClaimSource, PlacedClaims } from '../config/claims.ts';
import type { Account } from './accounts.ts';
import { accountClaims } from './claims.ts';

/** The scope that lets an app of somebody else's have what a claim is made of; `sub` needs none. */
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
  /** Tells whether a scope was granted; where the operator's own software asks, all are. */
  isOpen: (scope: string) => boolean;
}

/**
 * The claims that the operator has added for a client or a resource, as far as they stand in one place and their scope was
 * granted.
 * @param person absent where nobody signed in: what is the same for everybody is said all the same
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
