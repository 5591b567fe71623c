import { z } from 'zod';
import * as rules from '../rules.ts';
import { duration, email, publicJwk, roleName, ruled, scopeName } from '../values.ts';

/** Signature algorithms of assertions. All are asymmetric, so that only the issuer can sign (RFC 8725 §3.2). */
const ALGORITHMS = z.enum([
  ...(['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512'] as const),
  ...(['PS256', 'PS384', 'PS512', 'EdDSA'] as const),
]);

/** The `typ` of an Identity Assertion JWT Authorization Grant (draft-ietf-oauth-identity-assertion-authz-grant §3). */
export const ID_JAG_TYPE = 'oauth-id-jag+jwt';

/** Accepted values of `typ` (RFC 8725 §3.11). A token without `typ` counts as JWT. */
const TOKEN_TYPES = ['JWT', 'at+jwt', 'authorization-grant+jwt', ID_JAG_TYPE] as const;

/** Rule that maps an assertion's subject to an account. */
const subject = z.strictObject({
  is: z.enum(['account', 'new_account', 'service']),
  claim: z.string().min(1).default('sub'),
  match_email: z.boolean().default(false),
  links: z.record(z.string().min(1), email).default({}),
  roles: z.array(roleName).default(['user']),
});

/**
 * A trusted issuer, whose tokens clients may present as grants (RFC 7523 §2.1), and the access that such a grant
 * allows.
 */
export const issuerSchema = z.strictObject({
  issuer: ruled(rules.trustedIssuerRule),
  jwks: z.strictObject({ keys: z.array(publicJwk).min(1) }).optional(),
  jwks_uri: ruled(rules.webUrlRule).optional(),
  algorithms: z.array(ALGORITHMS).min(1).default(['ES256', 'RS256']),
  token_types: z.array(z.enum(TOKEN_TYPES)).min(1).default(['JWT']),
  claims: z.record(z.string().min(1), z.array(z.string()).min(1)).default({}),
  subject,
  clients: z.array(z.string()).min(1),
  resources: z.array(z.string()).min(1),
  scopes: z.array(scopeName).default([]),
  max_lifetime: duration.prefault('10m'),
  clock_skew: duration.prefault('60s'),
});

/** Schema of a file of trusted issuers for the store. */
export const issuersSchema = z.strictObject(
  { trusted_issuers: z.array(issuerSchema).min(1, 'needs at least one issuer') },
  'must be a trusted issuer, or a list of them under trusted_issuers',
);
