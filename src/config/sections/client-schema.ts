import { z } from 'zod';
import { claimsSchema } from './claims-schema.ts';
import { PROFILES } from './profiles.ts';
import * as rules from '../rules.ts';
import { receiverSchema } from './signals-schema.ts';
import {
  clientSignature,
  contentEncryption,
  idTokenAlgorithm,
  keyEncryption,
  publicJwk,
  refreshWindow,
  ruled,
  scopeName,
  secret,
  signingAlgorithm,
} from '../values.ts';

/** Client authentication methods (OpenID Connect Core §9). */
export const AUTH_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
  'none',
] as const;

export const origin = ruled(rules.originRule);

/** Grant type by which a client presents a trusted issuer's token (RFC 7523 §2.1). */
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** Grant type for token exchange (RFC 8693 §2.1). */
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** Grant type for device authorization (RFC 8628 §3.4). */
export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** Grant type for CIBA (OpenID Connect CIBA Core 1.0 §4). */
export const CIBA_GRANT = 'urn:openid:params:grant-type:ciba';

const GRANT_TYPES = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  JWT_BEARER,
  TOKEN_EXCHANGE,
  DEVICE_GRANT,
  CIBA_GRANT,
  'password',
] as const;

/** Response types of an authorization request (OAuth 2.0 Multiple Response Type Encoding Practices, §3 and §5). */
export const responseType = z.enum([
  'code',
  'code id_token',
  'code token',
  'code id_token token',
  'id_token',
  'id_token token',
]);

/**
 * An authorization server for which a client may request an identity assertion
 * (draft-ietf-oauth-identity-assertion-authz-grant).
 */
const idJag = z.strictObject({
  audience: ruled(rules.trustedIssuerRule),
  client_id: z.string().min(1).optional(),
  resources: z.array(ruled(rules.resourceIdentifierRule)).min(1),
  scopes: z.array(scopeName).default([]),
});

const exchangedType = z.enum(['access_token', 'id_token']);

/** A client's token exchange policy (RFC 8693). A client without a policy may exchange nothing. */
const tokenExchange = z.strictObject({
  clients: z.array(z.string()).min(1, 'needs at least one client'),
  audiences: z.array(z.string()).default([]),
  resources: z.array(z.string()).default([]),
  subject_token_types: z.array(exchangedType).min(1, 'needs at least one type').default(['access_token']),
  actor_token_types: z.array(exchangedType).default([]),
  impersonation: z.boolean().default(false),
  id_jag: z.array(idJag).optional(),
});

type GrantType = (typeof GRANT_TYPES)[number];

/** Default grant types for each type of client. */
export const TYPICAL_GRANTS = {
  spa: ['authorization_code', 'refresh_token'],
  web: ['authorization_code', 'refresh_token'],
  machine: ['client_credentials'],
} as const satisfies Record<string, readonly GrantType[]>;

/** The client id of the server's own pages, to which people sign in without an app. */
export const ACCOUNT_CLIENT = 'latchkey-account';

/**
 * A client as the configuration file and the store describe it. A setting that RFC 7591 defines has its name from
 * there.
 */
export const clientSchema = z.strictObject({
  client_id: z
    .string()
    .regex(/^[\x21-\x7E]{1,128}$/, 'must be 1 to 128 visible ASCII characters')
    // If a client acts for itself, `sub` holds its id, which an API must not mistake for an account id (RFC 9700
    // §4.15).
    .refine((name) => !/^acc_/i.test(name), 'must not begin with acc_, because account ids do')
    .refine((name) => name !== ACCOUNT_CLIENT, `must not be ${ACCOUNT_CLIENT}, the name of this server's own pages`),
  client_name: z.string().min(1),
  type: z.enum(['spa', 'web', 'machine']),
  secret: secret.optional(),
  previous_secret: secret.optional(),
  profile: z.enum(PROFILES).optional(),
  token_endpoint_auth_method: z.enum(AUTH_METHODS).optional(),
  client_assertion_audience: z.enum(['issuer', 'endpoint']).optional(),
  token_endpoint_auth_signing_alg: z.enum([...clientSignature.options, 'HS256']).optional(),
  grant_types: z.array(z.enum(GRANT_TYPES)).optional(),
  response_types: z.array(responseType).min(1, 'needs at least one type').optional(),
  jwks: z.strictObject({ keys: z.array(publicJwk).min(1) }).optional(),
  jwks_uri: ruled(rules.webUrlRule).optional(),
  tls_client_auth_subject_dn: z.string().min(1).optional(),
  tls_client_auth_san_dns: z.string().min(1).optional(),
  tls_client_auth_san_uri: z.string().min(1).optional(),
  tls_client_auth_san_ip: z.string().min(1).optional(),
  tls_client_auth_san_email: z.string().min(1).optional(),
  tls_client_certificate_bound_access_tokens: z.boolean().optional(),
  dpop_bound_access_tokens: z.boolean().optional(),
  require_pushed_authorization_requests: z.boolean().optional(),
  redirect_uris: z.array(ruled(rules.redirectUriRule)).default([]),
  post_logout_redirect_uris: z.array(ruled(rules.redirectUriRule)).default([]),
  allowed_origins: z.array(origin).default([]),
  backchannel_logout_uri: ruled(rules.backchannelUriRule).optional(),
  backchannel_token_delivery_mode: z.enum(['poll', 'ping']).optional(),
  backchannel_authentication_request_signing_alg: clientSignature.optional(),
  backchannel_client_notification_endpoint: ruled(rules.httpsUrlRule).optional(),
  frontchannel_logout_uri: ruled(rules.backchannelUriRule).optional(),
  frontchannel_logout_session_required: z.boolean().optional(),
  scopes: z.array(scopeName).default(['openid', 'profile', 'email']),
  resources: z.array(z.string()).default([]),
  default_resource: z.string().optional(),
  first_party: z.boolean().default(false),
  api_tokens_at_userinfo: z.boolean().optional(),
  id_token_signing_alg: idTokenAlgorithm.optional(),
  id_token_encrypted_response_alg: keyEncryption.optional(),
  id_token_encrypted_response_enc: contentEncryption.optional(),
  userinfo_signed_response_alg: signingAlgorithm.optional(),
  userinfo_encrypted_response_alg: keyEncryption.optional(),
  userinfo_encrypted_response_enc: contentEncryption.optional(),
  introspection_signed_response_alg: signingAlgorithm.optional(),
  request_object_signing_alg: clientSignature.optional(),
  require_signed_request_object: z.boolean().optional(),
  authorization_signed_response_alg: signingAlgorithm.optional(),
  authorization_encrypted_response_alg: keyEncryption.optional(),
  authorization_encrypted_response_enc: contentEncryption.optional(),
  authorization_details_types: z.array(z.string()).optional(),
  introspection: z.union([z.boolean(), z.array(z.string()).min(1, 'needs at least one resource')]).default(false),
  refresh_window: refreshWindow.optional(),
  token_exchange: tokenExchange.optional(),
  may_act: z.string().optional(),
  shared_signals: receiverSchema.optional(),
  claims: claimsSchema.optional(),
  subject_type: z.enum(['public', 'pairwise']).optional(),
  sector_identifier_uri: ruled(rules.httpsUrlRule).optional(),
  initiate_login_uri: ruled(rules.httpsUrlRule).optional(),
  default_max_age: z.int().min(0).optional(),
  client_uri: ruled(rules.webUrlRule).optional(),
  logo_uri: ruled(rules.webUrlRule).optional(),
  policy_uri: ruled(rules.webUrlRule).optional(),
  tos_uri: ruled(rules.webUrlRule).optional(),
});

/** Schema of a client's scopes and resources alone, for a client whose other settings are faulty. */
export const reachSchema = clientSchema.pick({ scopes: true, resources: true }).strip();

/** Schema of a file of clients for the store. */
export const clientsSchema = z.strictObject(
  { clients: z.array(clientSchema).min(1, 'needs at least one client') },
  'must be a client, or a list of them under clients',
);
