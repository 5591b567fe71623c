import { isText, type Check } from './examination.ts';

const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isTimeOrMissing = (value: unknown): boolean => value === undefined || isTime(value);
/** Normalises a claim that may be a text or a list of texts. */
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);

/** Checks of the audience and the times (RFC 7523 §3, items 3 to 7). */
export const VALIDITY: readonly Check[] = [
  {
    reason: 'audience_missing',
    says: 'the assertion must name its audience (aud)',
    holds: ({ claims: { aud } }) =>
      aud !== undefined && listOf(aud).length > 0 && listOf(aud).every((one) => isText(one, 2048)),
  },
  {
    reason: 'audience_several',
    says: 'the assertion must have only one audience, because a second recipient could present it here',
    holds: ({ claims: { aud } }) => listOf(aud).length === 1,
  },
  {
    reason: 'audience_foreign',
    says: "the audience (aud) must be this server's issuer, compared character by character",
    holds: ({ claims: { aud }, here }) => listOf(aud)[0] === here,
  },
  {
    reason: 'expiry_missing',
    says: 'the assertion must have an expiry (exp), which is a number',
    holds: ({ claims: { exp } }) => isTime(exp),
  },
  {
    reason: 'expired',
    says: 'the assertion must not have expired (exp)',
    holds: ({ claims: { exp }, now, issuer }) => Number(exp) + issuer.clock_skew > now,
  },
  {
    reason: 'not_before_malformed',
    says: 'the start of validity (nbf), if there is one, must be a number',
    holds: ({ claims: { nbf } }) => isTimeOrMissing(nbf),
  },
  {
    reason: 'not_yet_valid',
    says: 'the assertion must be valid already (nbf)',
    holds: ({ claims: { nbf = 0 }, now, issuer }) => Number(nbf) - issuer.clock_skew <= now,
  },
  {
    reason: 'issued_at_malformed',
    says: 'the time of issue (iat), if there is one, must be a number; an ID-JAG needs one',
    holds: ({ claims: { iat }, isIdJag }) => (isIdJag ? isTime(iat) : isTimeOrMissing(iat)),
  },
  {
    reason: 'issued_in_future',
    says: 'the time of issue (iat) must not be in the future',
    holds: ({ claims: { iat = 0 }, now, issuer }) => Number(iat) - issuer.clock_skew <= now,
  },
  {
    reason: 'lifetime_too_long',
    says: 'the assertion must expire within max_lifetime, counted from iat and from now',
    holds: ({ claims: { iat, exp }, now, issuer }) =>
      Number(exp) - Number(iat ?? now) <= issuer.max_lifetime &&
      Number(exp) - now <= issuer.max_lifetime + issuer.clock_skew,
  },
  { reason: 'jti_missing', says: 'the assertion must have an id (jti)', holds: ({ claims: { jti } }) => isText(jti) },
];
