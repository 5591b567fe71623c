import { z } from 'zod';

/** The account data that a claim may carry. */
const CLAIM_SOURCES = ['sub', 'email', 'email_verified', 'name', 'roles', 'updated_at'] as const;
export type ClaimSource = (typeof CLAIM_SOURCES)[number];

const CLAIM_PLACES = ['id_token', 'userinfo', 'access_token', 'introspection'] as const;
export type ClaimPlace = (typeof CLAIM_PLACES)[number];

/**
 * Reserved claims, which state who was authenticated, for whom, until when and with what effect. The operator cannot
 * give them another meaning.
 */
const RESERVED: ReadonlySet<string> = new Set([
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'typ', 'azp', 'nonce', 'auth_time', 'acr', 'amr', 'sid'],
  ...['at_hash', 'c_hash', 's_hash', 'cnf', 'act', 'may_act', 'client_id', 'scope', 'grant_id', 'status'],
  ...['authorization_details', 'active', 'token_type', 'events', 'sub_id', 'txn', 'token_introspection'],
  ...['email', 'email_verified', 'roles', '_claim_names', '_claim_sources', 'constructor', '__proto__'],
]);

const claimName = z
  .string()
  .regex(/^[A-Za-z_][\w.:/-]{0,127}$/, 'must be the name of a claim: letters, digits and _ . : / -, at most 128')
  .refine(
    (name) => !RESERVED.has(name),
    'is a claim that cannot be set, because it has a fixed meaning: choose another name',
  );

const text = z.string().min(1).max(1000);

/** A claim that the operator defines: account data or a constant, and the places where it appears. */
const mappedClaim = z
  .strictObject({
    from: z.enum(CLAIM_SOURCES).optional(),
    value: z.union([text, z.number(), z.boolean(), z.array(text).min(1).max(50)]).optional(),
    in: z.array(z.enum(CLAIM_PLACES)).min(1, 'needs at least one entry').optional(),
  })
  .refine(({ from, value }) => (from === undefined) !== (value === undefined), 'needs either from or value');

export const claimsSchema = z.record(claimName, mappedClaim);
export type MappedClaims = z.output<typeof claimsSchema>;

/** Places of the claims about a person's sign-in. */
export const OF_A_PERSON: readonly ClaimPlace[] = ['id_token', 'userinfo'];
/** Places of the claims in an API's tokens. */
export const OF_A_TOKEN: readonly ClaimPlace[] = ['access_token', 'introspection'];

/** Mapped claims with their places filled in. */
export type PlacedClaims = Readonly<Record<string, Omit<MappedClaims[string], 'in'> & { in: readonly ClaimPlace[] }>>;

/** Fills in the places of each claim. By default, a claim appears where libraries look for it. */
export function placed(claims: MappedClaims, of: 'spa' | 'web' | 'machine' | 'resource'): PlacedClaims {
  const usual = of === 'spa' || of === 'web' ? OF_A_PERSON : (['access_token'] as const);
  return Object.fromEntries(Object.entries(claims).map(([name, claim]) => [name, { ...claim, in: claim.in ?? usual }]));
}

/**
 * Scopes that need no resource (OpenID Connect Core §5.4 and §11, and `roles` for the account's roles), with their
 * descriptions on the consent page.
 */
export const standardScopes = {
  openid: 'Confirm your identity',
  profile: 'See your name and the address that you sign in with',
  email: 'See your email address',
  roles: 'See your roles',
  offline_access: 'Stay connected while you are away',
} as const;

export const STANDARD_SCOPES: readonly string[] = Object.keys(standardScopes);
