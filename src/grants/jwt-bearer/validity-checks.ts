import { isText, type Check } from './examination.ts';

const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isTimeOrMissing = (value: unknown): boolean => value === undefined || isTime(value);
/** Normalises a claim that may be a text or a list of texts. */
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);

/** Checks of the audience and the times (RFC 7523 §3, items 3 to 7). */
export const VALIDITY: readonly Check[] = [
  {
    reason: 'audience_missing',
    says: 'it names its audience (aud)',
    holds: ({ claims: { aud } }) =>
      aud !== undefined && listOf(aud).length > 0 && listOf(aud).every((one) => isText(one, 2048)),
  },
  {
    reason: 'audience_several',
    says: 'it has only one audience, because a second one could pass it on',
    holds: ({ claims: { aud } }) => listOf(aud).length === 1,
  },
  {
    reason: 'audience_foreign',
    says: "its audience (aud) is this server's issuer, character by character",
    holds: ({ claims: { aud }, here }) => listOf(aud)[0] === here,
  },
  {
    reason: 'expiry_missing',
    says: 'it has an expiry time (exp, a number)',
    holds: ({ claims: { exp } }) => isTime(exp),
  },
  {
    reason: 'expired',
    says: 'it has not expired (exp)',
    holds: ({ claims: { exp }, now, issuer }) => Number(exp) + issuer.clock_skew > now,
  },
  {
    reason: 'not_before_malformed',
    says: 'its nbf, if it has one, is a number',
    holds: ({ claims: { nbf } }) => isTimeOrMissing(nbf),
  },
  {
    reason: 'not_yet_valid',
    says: 'it is already valid (nbf)',
    holds: ({ claims: { nbf = 0 }, now, issuer }) => Number(nbf) - issuer.clock_skew <= now,
  },
  {
    reason: 'issued_at_malformed',
    says: 'its iat, if it has one, is a number; an ID-JAG must have one',
    holds: ({ claims: { iat }, isIdJag }) => (isIdJag ? isTime(iat) : isTimeOrMissing(iat)),
  },
  {
    reason: 'issued_in_future',
    says: 'it was issued in the past (iat)',
    holds: ({ claims: { iat = 0 }, now, issuer }) => Number(iat) - issuer.clock_skew <= now,
  },
  {
    reason: 'lifetime_too_long',
    says: 'it is valid for at most max_lifetime, from iat to exp and from now to exp',
    holds: ({ claims: { iat, exp }, now, issuer }) =>
      Number(exp) - Number(iat ?? now) <= issuer.max_lifetime &&
      Number(exp) - now <= issuer.max_lifetime + issuer.clock_skew,
  },
  { reason: 'jti_missing', says: 'it has an identifier (jti)', holds: ({ claims: { jti } }) => isText(jti) },
];
