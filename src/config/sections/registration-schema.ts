import { z } from 'zod';
import { origin, responseType } from './client-schema.ts';
import * as rules from '../rules.ts';
import { duration, publicJwk, ruled, scopeName } from '../values.ts';

/** The most access that a self-registered client may have. */
const reach = {
  scopes: z.array(scopeName).default(['openid', 'profile', 'email', 'offline_access']),
  resources: z.array(z.string()).default([]),
};

/** An issuer of software statements (RFC 7591 §2.3). */
const statementIssuer = z.strictObject({
  issuer: z.string().min(1),
  jwks: z.strictObject({ keys: z.array(publicJwk).min(1) }).optional(),
  jwks_uri: ruled(rules.webUrlRule).optional(),
});

/** Settings of dynamic client registration (RFC 7591) and its management (RFC 7592). */
export const registrationSchema = z.strictObject({
  enabled: z.boolean().default(false),
  initial_access_token: z.enum(['required', 'none']).default('required'),
  software_statements: z
    .strictObject({ required: z.boolean().default(false), issuers: z.array(statementIssuer).default([]) })
    .prefault({}),
  ...reach,
  grant_types: z
    .array(z.enum(['authorization_code', 'refresh_token', 'client_credentials']))
    .default(['authorization_code', 'refresh_token']),
  response_types: z.array(responseType).min(1, 'needs at least one type').default(['code']),
  token_endpoint_auth_methods: z
    .array(z.enum(['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt']))
    .default(['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt']),
  allowed_origins: z.array(z.literal('*').or(origin)).default([]),
  unused: duration.prefault('90d'),
  max_clients: z.int().min(1).max(100_000).default(1000),
  max_per_hour: z.int().min(1).default(20),
});

/** Settings of Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document). */
export const documentsSchema = z.strictObject({
  enabled: z.boolean().default(false),
  allow: z.array(z.literal('*').or(ruled(rules.hostRule))).default(['*']),
  ...reach,
  max_per_hour: z.int().min(1).default(60),
});
