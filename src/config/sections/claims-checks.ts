import { OF_A_PERSON, OF_A_TOKEN, type MappedClaims } from './claims-schema.ts';
import type { Fault } from '../problems.ts';
import type { ClientConfig, Draft } from '../schema.ts';

/**
 * Refuses claims in ID tokens and at userinfo for a machine client, because nobody signs in to it. Paths start at the
 * client.
 */
export function claimsFitType({ type, claims }: Pick<ClientConfig, 'type' | 'claims'>): Fault[] {
  return type === 'machine' ? misplaced(claims, 'is only for clients that sign people in') : [];
}

/** Refuses claims in ID tokens and at userinfo for a resource server, which receives only access tokens. */
export function resourceClaimsFit({ resources }: Pick<Draft, 'resources'>): Fault[] {
  const message = `is only for claims of clients: the claims of a resource can be in ${OF_A_TOKEN.join(' and ')}`;
  return resources.flatMap((resource, index) =>
    misplaced(resource?.claims, message).map((fault) => ({ ...fault, path: ['resources', index, ...fault.path] })),
  );
}

function misplaced(claims: MappedClaims | undefined, message: string): Fault[] {
  return Object.entries(claims ?? {}).flatMap(([name, { in: stated = [] }]) =>
    stated.flatMap((place, at) => (OF_A_PERSON.includes(place) ? [{ path: ['claims', name, 'in', at], message }] : [])),
  );
}
