import { verifies } from '../../lib/public-key.ts';
import type { Fault } from '../problems.ts';
import type { Draft, ResourceConfig, TrustedIssuer } from '../schema.ts';
import { LARGEST_SKEW } from './longest-token.ts';
import { didYouMean } from '../suggest.ts';

type Surroundings = Pick<Draft, 'issuer' | 'resources' | 'sign_up'>;
type IssuerCheck = (issuer: TrustedIssuer, surroundings: Surroundings) => Fault[];

/** Longest time in seconds for which the server remembers a used assertion. */
const LONGEST_LIFETIME = 86_400;

/** Checks of one trusted issuer, by itself and against other sections. Paths start at the issuer. */
const CHECKS: readonly IssuerCheck[] = [
  issuerIsNotThisServer,
  keysStandOnce,
  keysCanVerify,
  timesAreBounded,
  servicesAreNamed,
  emailsAreProved,
  resourcesAreRegistered,
  scopesExist,
];

export function checkIssuers({ trusted_issuers: issuers, ...surroundings }: Draft): Fault[] {
  return issuers.flatMap((issuer, index) => {
    const faults = issuer === undefined ? [] : CHECKS.flatMap((check) => check(issuer, surroundings));
    return faults.map(({ path, message }) => ({ path: ['trusted_issuers', index, ...path], message }));
  });
}

/**
 * Refuses issuers that the configuration already has. The server would never find a stored issuer with the same name.
 */
export function issuersAreFree({ trusted_issuers: issuers }: Draft, taken: readonly string[]): Fault[] {
  return issuers.flatMap((issuer, index) =>
    issuer !== undefined && taken.includes(issuer.issuer)
      ? [{ path: ['trusted_issuers', index, 'issuer'], message: 'is already in the configuration: change it there' }]
      : [],
  );
}

/**
 * Refuses this server as a trusted issuer, because clients could exchange grants for wider ones
 * (draft-ietf-oauth-identity-assertion-authz-grant, "Cross-Domain Use").
 */
function issuerIsNotThisServer({ issuer }: TrustedIssuer, surroundings: Surroundings): Fault[] {
  if (issuer !== surroundings.issuer) return [];
  return [{ path: ['issuer'], message: 'must not be this server' }];
}

function keysStandOnce({ jwks, jwks_uri: uri }: TrustedIssuer): Fault[] {
  if (jwks === undefined && uri === undefined) return [{ path: ['jwks_uri'], message: 'or jwks is required' }];
  if (jwks === undefined || uri === undefined) return [];
  return [{ path: ['jwks'], message: 'must be left out if jwks_uri is set' }];
}

function keysCanVerify({ jwks }: TrustedIssuer): Fault[] {
  if (jwks?.keys.some(verifies) !== false) return [];
  return [{ path: ['jwks'], message: 'needs a key that verifies signatures (use: sig)' }];
}

function timesAreBounded({ max_lifetime: life, clock_skew: skew }: TrustedIssuer): Fault[] {
  return [
    ...(life > LONGEST_LIFETIME ? [{ path: ['max_lifetime'], message: 'must be at most 24h' }] : []),
    ...(skew > LARGEST_SKEW ? [{ path: ['clock_skew'], message: 'must be at most 5m' }] : []),
  ];
}

/**
 * Requires `claims` for a service. Anybody can get a token from a public CI or a shared cluster, so the operator must
 * name the accepted ones.
 */
function servicesAreNamed({ subject, claims }: TrustedIssuer): Fault[] {
  if (subject.is !== 'service' || Object.keys(claims).length > 0) return [];
  const message =
    'is required if subject.is is "service": otherwise everybody whom the issuer knows would be the service';
  return [{ path: ['claims'], message }];
}

/**
 * Refuses `match_email` while sign-up is open. Otherwise a stranger could sign up with somebody else's address, and the
 * issuer's tokens for that person would lead to the stranger's account.
 */
function emailsAreProved({ subject }: TrustedIssuer, { sign_up: signUp }: Surroundings): Fault[] {
  if (!subject.match_email || signUp?.enabled !== true) return [];
  const message = 'must be false while sign_up.enabled lets strangers use any email address';
  return [{ path: ['subject', 'match_email'], message }];
}

function resourcesAreRegistered(issuer: TrustedIssuer, { resources }: Surroundings): Fault[] {
  const known = resources.flatMap((resource) => (resource === undefined ? [] : [resource.identifier]));
  if (known.length !== resources.length) return [];
  return issuer.resources.flatMap((resource, index) =>
    known.includes(resource)
      ? []
      : [{ path: ['resources', index], message: `is not under resources${didYouMean(resource, known)}` }],
  );
}

function scopesExist(issuer: TrustedIssuer, { resources }: Surroundings): Fault[] {
  const own = issuer.resources.map((identifier) => resources.find((resource) => resource?.identifier === identifier));
  if (!own.every((resource) => resource !== undefined)) return [];
  const known = own.flatMap((resource: ResourceConfig) => Object.keys(resource.scopes));
  return issuer.scopes.flatMap((scope, index) =>
    known.includes(scope)
      ? []
      : [{ path: ['scopes', index], message: `is not a scope of any of its resources${didYouMean(scope, known)}` }],
  );
}
