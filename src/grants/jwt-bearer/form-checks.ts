import { isBase64url, LONGEST_ASSERTION } from './assertion.ts';
import type { Check } from './examination.ts';

/** Checks of an assertion's form, before anything in it is trusted (RFC 7515 §5.2, RFC 8725 §3). */
export const FORM: readonly Check[] = [
  {
    reason: 'too_long',
    says: `the assertion has at most ${LONGEST_ASSERTION} characters`,
    holds: ({ request }) => request.assertion.text.length <= LONGEST_ASSERTION,
  },
  {
    reason: 'encrypted',
    says: 'it is signed, not encrypted',
    holds: ({ request }) => request.assertion.parts.length !== 5,
  },
  {
    reason: 'not_a_jwt',
    says: 'it has three parts, separated by dots, and nothing before or after them',
    holds: ({ request }) => request.assertion.parts.length === 3,
  },
  {
    reason: 'not_base64url',
    says: 'each part is base64url, without padding and in its only valid form',
    holds: ({ request }) => request.assertion.parts.every(isBase64url),
  },
  {
    reason: 'header_unreadable',
    says: 'the header is a JSON object',
    holds: ({ request }) => request.assertion.header.isObject,
  },
  {
    reason: 'header_repeats_name',
    says: 'no name occurs twice in the header',
    holds: ({ request }) => !request.assertion.header.repeatsName,
  },
  {
    reason: 'critical_header',
    says: 'the header requires no extension (crit)',
    holds: ({ header }) => !('crit' in header),
  },
  {
    reason: 'unencoded_payload',
    says: 'the header does not change how the payload is encoded (b64)',
    holds: ({ header }) => !('b64' in header),
  },
  {
    reason: 'key_in_header',
    says: 'the header contains neither a key nor the address of one (jwk, jku, x5c, x5u)',
    holds: ({ header }) => !['jwk', 'jku', 'x5c', 'x5u'].some((name) => name in header),
  },
  {
    reason: 'nested',
    says: 'its content is claims, and not another token (cty)',
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
    says: 'its algorithm uses public keys',
    holds: ({ header }) => !/^HS/i.test(String(header['alg'])),
  },
  {
    reason: 'claims_unreadable',
    says: 'the claims are a JSON object',
    holds: ({ request }) => request.assertion.claims.isObject,
  },
  {
    reason: 'claims_repeat_name',
    says: 'no claim occurs twice',
    holds: ({ request }) => !request.assertion.claims.repeatsName,
  },
];
