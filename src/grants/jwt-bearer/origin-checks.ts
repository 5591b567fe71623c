import { isText, type Check } from './examination.ts';

/** Checks of the issuer and its signature (RFC 7523 §3, items 1 and 9). */
export const ORIGIN: readonly Check[] = [
  {
    reason: 'issuer_missing',
    says: 'the assertion must name its issuer (iss)',
    holds: ({ claims }) => isText(claims['iss'], 2048),
  },
  {
    reason: 'issuer_unknown',
    says: 'the issuer (iss) must be a trusted issuer, compared character by character',
    holds: ({ claims, issuer }) => issuer.issuer === claims['iss'],
  },
  {
    reason: 'type_not_accepted',
    says: 'the type (typ) must be listed under token_types',
    holds: (it) => it.issuer.token_types.some((type) => type.toLowerCase() === it.type),
  },
  {
    reason: 'algorithm_not_accepted',
    says: 'the algorithm (alg) must be listed under algorithms',
    holds: ({ header, issuer }) => issuer.algorithms.some((alg) => alg === header['alg']),
  },
  {
    reason: 'kid_malformed',
    says: 'the key id (kid), if there is one, must be a short string',
    holds: ({ header: { kid } }) => kid === undefined || isText(kid),
  },
  {
    reason: 'keys_unavailable',
    says: "the server must be able to fetch the issuer's keys",
    holds: async (it) => (await it.key()) !== 'unavailable',
  },
  {
    reason: 'key_unknown',
    says: 'the issuer must have the key that kid names or, without a kid, a key for the algorithm',
    holds: async (it) => (await it.key()) !== 'unknown',
  },
  {
    reason: 'key_weak',
    says: 'the key must be complete, public and strong',
    holds: async (it) => (await it.key()) !== 'weak',
  },
  {
    reason: 'key_ambiguous',
    says: 'only one key of the issuer may fit the assertion',
    holds: async (it) => (await it.key()) !== 'ambiguous',
  },
  {
    reason: 'key_unfit',
    says: 'the key must be for this algorithm and for signatures',
    holds: async (it) => (await it.key()) !== 'unfit',
  },
  { reason: 'signature_wrong', says: "the issuer's key must verify the signature", holds: (it) => it.isSigned() },
];
