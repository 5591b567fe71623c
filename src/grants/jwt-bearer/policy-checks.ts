import { isText, type Check, type Examination } from './examination.ts';
import type { NoSubject } from './subject.ts';

/** Checks against the policies of the issuer and the client (RFC 7521 §5.2; draft ID-JAG). */
export const POLICY: readonly Check[] = [
  {
    reason: 'subject_missing',
    says: 'the assertion must name its subject (sub, and the claim that subject.claim names)',
    holds: ({ claims, issuer }) => isText(claims['sub'], 512) && isText(claims[issuer.subject.claim], 512),
  },
  {
    reason: 'claim_not_accepted',
    says: 'each claim that claims lists must have one of the values listed for it',
    holds: ({ claims, issuer }) =>
      Object.entries(issuer.claims).every(([name, values]) => values.some((value) => value === claims[name])),
  },
  {
    reason: 'client_not_allowed',
    says: 'the client must be listed under clients',
    holds: ({ issuer, request }) => issuer.clients.includes(request.client.id),
  },
  {
    reason: 'client_not_proved',
    says: 'a client that presents an ID-JAG must authenticate',
    holds: ({ isIdJag, request }) => !isIdJag || request.client.isProved,
  },
  {
    reason: 'client_mismatch',
    says: 'the client must be the one that the ID-JAG names (client_id)',
    holds: ({ isIdJag, claims, request }) => !isIdJag || claims['client_id'] === request.client.id,
  },
  {
    reason: 'key_not_proved',
    says: 'the sender must hold the key that the assertion is bound to (cnf)',
    holds: ({ claims: { cnf }, request }) => cnf === undefined || isBoundTo(cnf, request.jkt),
  },
  {
    reason: 'resource_missing',
    says: 'the request, the ID-JAG or default_resource must name one resource',
    holds: ({ resource }) => resource !== undefined,
  },
  {
    reason: 'resource_not_granted',
    says: 'the ID-JAG must be for the resource',
    holds: ({ grantedResources, resource = '' }) => grantedResources?.includes(resource) !== false,
  },
  {
    reason: 'resource_not_allowed',
    says: 'the resource must be listed for both the issuer and the client',
    holds: ({ issuer, request, resource = '' }) =>
      issuer.resources.includes(resource) && request.client.resources.includes(resource),
  },
  {
    reason: 'scope_not_granted',
    says: 'the ID-JAG must contain every requested scope',
    holds: ({ grantedScopes, scopes }) => scopes.every((scope) => grantedScopes?.includes(scope) !== false),
  },
  {
    reason: 'scope_not_allowed',
    says: 'every requested scope must be listed under scopes',
    holds: ({ issuer, scopes }) => scopes.every((scope) => issuer.scopes.includes(scope)),
  },
];

/**
 * Tells whether the sender proves the key that `cnf` names (RFC 7800 §3.1, RFC 9449 §6.1). A binding of any other kind
 * cannot be checked, so it counts as violated.
 */
function isBoundTo(cnf: unknown, jkt: string | undefined): boolean {
  return jkt !== undefined && typeof cnf === 'object' && cnf !== null && 'jkt' in cnf && cnf.jkt === jkt;
}

/** Checks of the account that the assertion identifies. */
export const SUBJECT: readonly Check[] = [
  {
    reason: 'email_unverified',
    says: 'the assertion must have an email address that the issuer has verified (email_verified: true)',
    holds: async (it) => !(await hasNoSubject(it, 'address not proved')),
  },
  {
    reason: 'email_taken',
    says: 'no account may have the email address yet, unless match_email is set',
    holds: async (it) => !(await hasNoSubject(it, 'address taken')),
  },
  {
    reason: 'account_unverified',
    says: 'the operator must have created the account with the email address, or verified it (latchkey accounts verify)',
    holds: async (it) => !(await hasNoSubject(it, 'account not vouched for')),
  },
  {
    reason: 'account_unknown',
    says: 'an account must be linked to the subject, or have the email address',
    holds: async (it) => !(await hasNoSubject(it, 'unlinked')),
  },
  {
    reason: 'account_disabled',
    says: 'the account must be enabled',
    holds: async (it) => {
      const subject = await it.subject();
      return !('account' in subject) || subject.account.disabledAt === undefined;
    },
  },
];

async function hasNoSubject(it: Examination, because: NoSubject['because']): Promise<boolean> {
  const subject = await it.subject();
  return subject.is === 'nobody' && subject.because === because;
}
