import { isBase64url, LONGEST_ASSERTION } from './assertion.ts';
import type { Examination } from './examination.ts';

/** One thing that must hold of an assertion. */
export interface Check {
  /** Names the refusal, in the log and for `latchkey issuers test`; outside all are `invalid_grant`. */
  reason: string;
  /** What must hold, for the operator. */
  says: string;
  holds: (it: Examination) => boolean | Promise<boolean>;
}

const isText = (value: unknown, longest = 255): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= longest && !/[\p{Cc}\p{Cs}]/u.test(value);
const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isTimeOrMissing = (value: unknown): boolean => value === undefined || isTime(value);
/** A claim that may be one text or a list of them. */
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);

/** What the text is: nothing in it is believed yet (RFC 7515 §5.2, RFC 8725 §3). */
const FORM: readonly Check[] = [
  {
    reason: 'too_long',
    says: `an assertion has at most ${LONGEST_ASSERTION} characters`,
    holds: ({ request }) => request.assertion.text.length <= LONGEST_ASSERTION,
  },
  {
    reason: 'encrypted',
    says: 'it is signed, not encrypted',
    holds: ({ request }) => request.assertion.parts.length !== 5,
  },
  {
    reason: 'not_a_jwt',
    says: 'it has three parts with dots between them, and nothing around them',
    holds: ({ request }) => request.assertion.parts.length === 3,
  },
  {
    reason: 'not_base64url',
    says: 'each part is base64url, without padding and in its one spelling',
    holds: ({ request }) => request.assertion.parts.every(isBase64url),
  },
  {
    reason: 'header_unreadable',
    says: 'the header is a JSON object',
    holds: ({ request }) => request.assertion.header.isObject,
  },
  {
    reason: 'header_repeats_name',
    says: 'no member of the header stands there twice',
    holds: ({ request }) => !request.assertion.header.repeatsName,
  },
  {
    reason: 'critical_header',
    says: 'the header asks for no extension (crit)',
    holds: ({ header }) => !('crit' in header),
  },
  {
    reason: 'unencoded_payload',
    says: 'the header does not change how the payload is encoded (b64)',
    holds: ({ header }) => !('b64' in header),
  },
  {
    reason: 'key_in_header',
    says: 'the header brings no key and no place of one (jwk, jku, x5c, x5u)',
    holds: ({ header }) => !['jwk', 'jku', 'x5c', 'x5u'].some((name) => name in header),
  },
  {
    reason: 'nested',
    says: 'what is signed are claims, and not another token (cty)',
    holds: ({ header }) => !('cty' in header),
  },
  {
    reason: 'unsigned',
    says: 'it is signed',
    holds: ({ header, request }) =>
      typeof header['alg'] === 'string' && !/^none$/i.test(header['alg']) && request.assertion.parts[2] !== '',
  },
  {
    reason: 'symmetric',
    says: 'its algorithm is one of public keys',
    holds: ({ header }) => !/^HS/i.test(String(header['alg'])),
  },
  {
    reason: 'claims_unreadable',
    says: 'the claims are a JSON object',
    holds: ({ request }) => request.assertion.claims.isObject,
  },
  {
    reason: 'claims_repeat_name',
    says: 'no claim stands there twice',
    holds: ({ request }) => !request.assertion.claims.repeatsName,
  },
];

/** Whose it is (RFC 7523 §3, items 1 and 9). */
const ORIGIN: readonly Check[] = [
  { reason: 'issuer_missing', says: 'it names its issuer (iss)', holds: ({ claims }) => isText(claims['iss'], 2048) },
  {
    reason: 'issuer_unknown',
    says: 'its issuer (iss) is in the registry, character by character',
    holds: ({ claims, issuer }) => issuer.issuer === claims['iss'],
  },
  {
    reason: 'type_not_accepted',
    says: 'its typ is one of token_types',
    holds: (it) => it.issuer.token_types.some((type) => type.toLowerCase() === it.type),
  },
  {
    reason: 'algorithm_not_accepted',
    says: 'its alg is one of algorithms',
    holds: ({ header, issuer }) => issuer.algorithms.some((alg) => alg === header['alg']),
  },
  {
    reason: 'kid_malformed',
    says: 'its kid, where it has one, is a short text',
    holds: ({ header: { kid } }) => kid === undefined || isText(kid),
  },
  {
    reason: 'keys_unavailable',
    says: "the issuer's keys can be fetched",
    holds: async (it) => (await it.key()) !== 'unavailable',
  },
  {
    reason: 'key_unknown',
    says: 'the issuer has the key that it names (kid), or one for its alg where it names none',
    holds: async (it) => (await it.key()) !== 'unknown',
  },
  {
    reason: 'key_ambiguous',
    says: 'only one key of the issuer could have signed it',
    holds: async (it) => (await it.key()) !== 'ambiguous',
  },
  {
    reason: 'key_unfit',
    says: 'the key is one for this algorithm, and for signatures',
    holds: async (it) => (await it.key()) !== 'unfit',
  },
  { reason: 'signature_wrong', says: "the issuer's key has signed it", holds: (it) => it.isSigned() },
];

/** Whom it is for, and when (RFC 7523 §3, items 3 to 7). */
const VALIDITY: readonly Check[] = [
  {
    reason: 'audience_missing',
    says: 'it says whom it is for (aud)',
    holds: ({ claims: { aud } }) =>
      aud !== undefined && listOf(aud).length > 0 && listOf(aud).every((one) => isText(one, 2048)),
  },
  {
    reason: 'audience_several',
    says: 'it is for one audience alone: another one could pass it on',
    holds: ({ claims: { aud } }) => listOf(aud).length === 1,
  },
  {
    reason: 'audience_foreign',
    says: "its audience (aud) is this server's issuer, character by character",
    holds: ({ claims: { aud }, here }) => listOf(aud)[0] === here,
  },
  { reason: 'expiry_missing', says: 'it expires (exp, a number)', holds: ({ claims: { exp } }) => isTime(exp) },
  {
    reason: 'expired',
    says: 'it has not expired (exp)',
    holds: ({ claims: { exp }, now, issuer }) => Number(exp) + issuer.clock_skew > now,
  },
  {
    reason: 'not_before_malformed',
    says: 'its nbf, where it has one, is a number',
    holds: ({ claims: { nbf } }) => isTimeOrMissing(nbf),
  },
  {
    reason: 'not_yet_valid',
    says: 'it is valid already (nbf)',
    holds: ({ claims: { nbf = 0 }, now, issuer }) => Number(nbf) - issuer.clock_skew <= now,
  },
  {
    reason: 'issued_at_malformed',
    says: 'its iat is a number; an ID-JAG has one',
    holds: ({ claims: { iat }, isIdJag }) => (isIdJag ? isTime(iat) : isTimeOrMissing(iat)),
  },
  {
    reason: 'issued_in_future',
    says: 'it was issued in the past (iat)',
    holds: ({ claims: { iat = 0 }, now, issuer }) => Number(iat) - issuer.clock_skew <= now,
  },
  {
    reason: 'lifetime_too_long',
    says: 'it lives for max_lifetime at most, from iat to exp and from now on',
    holds: ({ claims: { iat, exp }, now, issuer }) =>
      Number(exp) - Number(iat ?? now) <= issuer.max_lifetime &&
      Number(exp) - now <= issuer.max_lifetime + issuer.clock_skew,
  },
  { reason: 'jti_missing', says: 'it has a name of its own (jti)', holds: ({ claims: { jti } }) => isText(jti) },
];

/** What it is worth here: the policy of the issuer and of the client (RFC 7521 §5.2; draft ID-JAG). */
const POLICY: readonly Check[] = [
  {
    reason: 'subject_missing',
    says: 'it says whom it is about (sub, and the claim that the subject rule names)',
    holds: ({ claims, issuer }) => isText(claims['sub'], 512) && isText(claims[issuer.subject.claim], 512),
  },
  {
    reason: 'claim_not_accepted',
    says: 'each of claims has one of the values that are listed for it',
    holds: ({ claims, issuer }) =>
      Object.entries(issuer.claims).every(([name, values]) => values.some((value) => value === claims[name])),
  },
  {
    reason: 'client_not_allowed',
    says: 'the client is one of clients',
    holds: ({ issuer, request }) => issuer.clients.includes(request.client.id),
  },
  {
    reason: 'client_not_proved',
    says: 'a client that brings an ID-JAG proves who it is',
    holds: ({ isIdJag, request }) => !isIdJag || request.client.isProved,
  },
  {
    reason: 'client_mismatch',
    says: 'the client is the one that the ID-JAG names (client_id)',
    holds: ({ isIdJag, claims, request }) => !isIdJag || claims['client_id'] === request.client.id,
  },
  {
    reason: 'key_not_proved',
    says: 'the sender holds the key that the assertion is bound to (cnf)',
    holds: ({ claims: { cnf }, request }) => cnf === undefined || isBoundTo(cnf, request.jkt),
  },
  {
    reason: 'resource_missing',
    says: 'the request, the ID-JAG or the default names one resource',
    holds: ({ resource }) => resource !== undefined,
  },
  {
    reason: 'resource_not_granted',
    says: 'the ID-JAG is for the resource',
    holds: ({ grantedResources, resource = '' }) => grantedResources?.includes(resource) !== false,
  },
  {
    reason: 'resource_not_allowed',
    says: 'the resource is one of the resources of the issuer and of the client',
    holds: ({ issuer, request, resource = '' }) =>
      issuer.resources.includes(resource) && request.client.resources.includes(resource),
  },
  {
    reason: 'scope_not_granted',
    says: 'the ID-JAG has every scope that is asked for',
    holds: ({ grantedScopes, scopes }) => scopes.every((scope) => grantedScopes?.includes(scope) !== false),
  },
  {
    reason: 'scope_not_allowed',
    says: 'every scope that is asked for is one of scopes',
    holds: ({ issuer, scopes }) => scopes.every((scope) => issuer.scopes.includes(scope)),
  },
];

/** Who it becomes. */
const SUBJECT: readonly Check[] = [
  {
    reason: 'email_unverified',
    says: 'it has an address (email) that the issuer has verified (email_verified: true)',
    holds: async (it) => !(await isNobody(it, 'address not proved')),
  },
  {
    reason: 'email_taken',
    says: 'no account has its address yet, or match_email is set',
    holds: async (it) => !(await isNobody(it, 'address taken')),
  },
  {
    reason: 'account_unknown',
    says: 'an account is linked to its subject, or has its address',
    holds: async (it) => !(await isNobody(it, 'unlinked')),
  },
  {
    reason: 'account_disabled',
    says: 'the account may be used',
    holds: async (it) => {
      const subject = await it.subject();
      return !('account' in subject) || subject.account.disabledAt === undefined;
    },
  },
];

/** Last, so that an assertion is used up only by a request that nothing else is wrong with. */
const USE: readonly Check[] = [
  { reason: 'replayed', says: 'it was not used before (jti)', holds: (it) => it.isFirst() },
];

/** All checks, in the order in which they are made; the first that does not hold is the reason of the refusal. */
export const CHECKS: readonly Check[] = [...FORM, ...ORIGIN, ...VALIDITY, ...POLICY, ...SUBJECT, ...USE];

/** @returns the check that does not hold */
export async function firstFailure(it: Examination): Promise<Check | undefined> {
  for (const check of CHECKS) if (!(await check.holds(it))) return check;
  return undefined;
}

async function isNobody(it: Examination, because: string): Promise<boolean> {
  const subject = await it.subject();
  return subject.is === 'nobody' && subject.because === because;
}

/** RFC 7800 §3.1 and RFC 9449 §6.1: a binding that cannot be checked is one that does not hold. */
function isBoundTo(cnf: unknown, jkt: string | undefined): boolean {
  return jkt !== undefined && typeof cnf === 'object' && cnf !== null && 'jkt' in cnf && cnf.jkt === jkt;
}
