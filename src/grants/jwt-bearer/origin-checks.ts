import { isText, type Check } from './examination.ts';

/** Checks of the issuer and its signature (RFC 7523 §3, items 1 and 9). */
export const ORIGIN: readonly Check[] = [
  { reason: 'issuer_missing', says: 'it names its issuer (iss)', holds: ({ claims }) => isText(claims['iss'], 2048) },
  {
    reason: 'issuer_unknown',
    says: 'its issuer (iss) is a trusted issuer, character by character',
    holds: ({ claims, issuer }) => issuer.issuer === claims['iss'],
  },
  {
    reason: 'type_not_accepted',
    says: 'its typ is listed in token_types',
    holds: (it) => it.issuer.token_types.some((type) => type.toLowerCase() === it.type),
  },
  {
    reason: 'algorithm_not_accepted',
    says: 'its alg is listed in algorithms',
    holds: ({ header, issuer }) => issuer.algorithms.some((alg) => alg === header['alg']),
  },
  {
    reason: 'kid_malformed',
    says: 'its kid, if it has one, is a short string',
    holds: ({ header: { kid } }) => kid === undefined || isText(kid),
  },
  {
    reason: 'keys_unavailable',
    says: "the server can fetch the issuer's keys",
    holds: async (it) => (await it.key()) !== 'unavailable',
  },
  {
    reason: 'key_unknown',
    says: 'the issuer has the key that it names (kid) or, if it names none, a key for its alg',
    holds: async (it) => (await it.key()) !== 'unknown',
  },
  {
    reason: 'key_weak',
    says: 'the key that it names (kid) is complete, public and strong',
    holds: async (it) => (await it.key()) !== 'weak',
  },
  {
    reason: 'key_ambiguous',
    says: 'only one key of the issuer could have signed it',
    holds: async (it) => (await it.key()) !== 'ambiguous',
  },
  {
    reason: 'key_unfit',
    says: 'the key is for this algorithm, and for signatures',
    holds: async (it) => (await it.key()) !== 'unfit',
  },
  { reason: 'signature_wrong', says: "the issuer's key has signed it", holds: (it) => it.isSigned() },
];
