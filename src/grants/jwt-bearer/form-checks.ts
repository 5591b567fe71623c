import { isBase64url, LONGEST_ASSERTION } from './assertion.ts';
import type { Check } from './examination.ts';

/** Checks of an assertion's form, before anything in it is trusted (RFC 7515 §5.2, RFC 8725 §3). */
export const FORM: readonly Check[] = [
  {
    reason: 'too_long',
    says: `the assertion must have at most ${LONGEST_ASSERTION} characters`,
    holds: ({ request }) => request.assertion.text.length <= LONGEST_ASSERTION,
  },
  {
    reason: 'encrypted',
    says: 'the assertion must be signed, not encrypted',
    holds: ({ request }) => request.assertion.parts.length !== 5,
  },
  {
    reason: 'not_a_jwt',
    says: 'the assertion must have three parts, separated by dots, and nothing else',
    holds: ({ request }) => request.assertion.parts.length === 3,
  },
  {
    reason: 'not_base64url',
    says: 'each part must be base64url without padding, in its canonical form',
    holds: ({ request }) => request.assertion.parts.every(isBase64url),
  },
  {
    reason: 'header_unreadable',
    says: 'the header must be a JSON object',
    holds: ({ request }) => request.assertion.header.isObject,
  },
  {
    reason: 'header_repeats_name',
    says: 'the header must not repeat a member',
    holds: ({ request }) => !request.assertion.header.repeatsName,
  },
  {
    reason: 'critical_header',
    says: 'the header must not demand an extension (crit)',
    holds: ({ header }) => !('crit' in header),
  },
  {
    reason: 'unencoded_payload',
    says: 'the header must not change the encoding of the payload (b64)',
    holds: ({ header }) => !('b64' in header),
  },
  {
    reason: 'key_in_header',
    says: 'the header must not contain a key or the URL of one (jwk, jku, x5c, x5u)',
    holds: ({ header }) => !['jwk', 'jku', 'x5c', 'x5u'].some((name) => name in header),
  },
  {
    reason: 'nested',
    says: 'the payload must be claims, not another token (cty)',
    holds: ({ header }) => !('cty' in header),
  },
  {
    reason: 'unsigned',
    says: 'the assertion must be signed',
    holds: ({ header, request }) =>
      typeof header['alg'] === 'string' && !/^none$/i.test(header['alg']) && request.assertion.parts[2] !== '',
  },
  {
    reason: 'symmetric',
    says: 'the algorithm (alg) must use a public key',
    holds: ({ header }) => !/^HS/i.test(String(header['alg'])),
  },
  {
    reason: 'claims_unreadable',
    says: 'the claims must be a JSON object',
    holds: ({ request }) => request.assertion.claims.isObject,
  },
  {
    reason: 'claims_repeat_name',
    says: 'the claims must not repeat a name',
    holds: ({ request }) => !request.assertion.claims.repeatsName,
  },
];
