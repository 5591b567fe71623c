import { verifies } from '../../lib/public-key.ts';
import { JWT_BEARER } from './client-schema.ts';
import type { Fault } from '../problems.ts';
import type { ClientConfig, Draft } from '../schema.ts';

type Settings = Pick<Draft, 'keys' | 'listen'>;
type Check = (client: ClientConfig, settings: Settings) => Fault[];

/** Checks of a client's authentication method and keys. Paths start at the client. */
const CHECKS: readonly Check[] = [
  methodFitsType,
  assertionAlgorithmFits,
  audienceIsOfAssertions,
  secretFitsMethod,
  previousSecretFollowsOne,
  secretsCanBeSent,
  keysAreThere,
  keysStandOnce,
  keysCanVerify,
  certificatesAreAskedFor,
  certificateHasOneName,
  hs256IsAllowed,
  signingSecretIsLong,
  encryptionIsWhole,
];

export function checkClientAuth(client: ClientConfig, settings: Settings): Fault[] {
  return CHECKS.flatMap((check) => check(client, settings));
}

/** Returns a client's authentication method, or the default for its type. */
export function authMethodOf({
  type,
  token_endpoint_auth_method: method,
}: Pick<ClientConfig, 'type' | 'token_endpoint_auth_method'>) {
  return method ?? (type === 'spa' ? 'none' : 'client_secret_basic');
}

/**
 * Tells whether the client secret is also a signing key, so that the server must store more than its hash (RFC 7518
 * §3.2).
 */
export function signsWithSecret(client: ClientConfig): boolean {
  return authMethodOf(client) === 'client_secret_jwt' || client.id_token_signing_alg === 'HS256';
}

function methodFitsType(client: ClientConfig): Fault[] {
  const path = ['token_endpoint_auth_method'];
  const isPublic = authMethodOf(client) === 'none';
  if (client.type === 'spa' && !isPublic)
    return [{ path, message: 'must be none for type spa, which cannot keep a secret' }];
  if (client.type === 'spa' || !isPublic || bringsAssertionsOnly(client)) return [];
  return [{ path, message: `must not be none for type ${client.type}` }];
}

/**
 * Requires an assertion algorithm that fits the authentication method (OpenID Connect Dynamic Client Registration §2).
 */
function assertionAlgorithmFits(client: ClientConfig): Fault[] {
  const { token_endpoint_auth_signing_alg: alg } = client;
  const path = ['token_endpoint_auth_signing_alg'];
  const method = authMethodOf(client);
  if (alg === undefined) return [];
  if (method !== 'private_key_jwt' && method !== 'client_secret_jwt')
    return [{ path, message: `is only for private_key_jwt and client_secret_jwt, not for ${method}` }];
  if ((alg === 'HS256') === (method === 'client_secret_jwt')) return [];
  return [{ path, message: `must ${alg === 'HS256' ? 'not be' : 'be'} HS256 for ${method}` }];
}

function audienceIsOfAssertions(client: ClientConfig): Fault[] {
  const method = authMethodOf(client);
  if (client.client_assertion_audience === undefined || method.endsWith('_jwt')) return [];
  const message = `is only for private_key_jwt and client_secret_jwt, not for ${method}`;
  return [{ path: ['client_assertion_audience'], message }];
}

/**
 * Tells whether a machine client presents only assertions. A job or a pod then needs no client secret, because its
 * platform issues tokens that identify it (RFC 7521 §4.1).
 */
function bringsAssertionsOnly({ type, grant_types: grants = [] }: ClientConfig): boolean {
  return type === 'machine' && grants.length > 0 && grants.every((name) => name === JWT_BEARER);
}

function secretFitsMethod(client: ClientConfig): Fault[] {
  const { type, secret } = client;
  if (type === 'spa') {
    if (secret === undefined) return [];
    return [
      { path: ['secret'], message: 'a client of type spa cannot keep a secret: remove it, or make the type web' },
    ];
  }
  const method = authMethodOf(client);
  const needsOne = method.startsWith('client_secret_') || signsWithSecret(client);
  if (needsOne && secret === undefined) {
    return [{ path: ['secret'], message: `is required for type ${type}: { file: PATH } or { env: NAME }` }];
  }
  if (needsOne || secret === undefined) return [];
  return [{ path: ['secret'], message: `must be left out: its token_endpoint_auth_method is ${method}` }];
}

function previousSecretFollowsOne(client: ClientConfig): Fault[] {
  if (client.previous_secret === undefined) return [];
  const path = ['previous_secret'];
  if (client.secret === undefined) return [{ path, message: 'must be left out if there is no secret' }];
  if (!signsWithSecret(client)) return [];
  return [{ path, message: 'must be left out if the client signs with its secret, because it can sign with only one' }];
}

/** Requires secrets of printable ASCII (RFC 6749 appendix A.2). */
function secretsCanBeSent(client: ClientConfig): Fault[] {
  return (['secret', 'previous_secret'] as const).flatMap((key) => {
    const secret = client[key];
    if (secret?.isRead !== true || /^[\x20-\x7E]+$/.test(secret.reveal())) return [];
    return [{ path: [key], message: 'must be printable ASCII without line breaks' }];
  });
}

const NEEDS_KEYS = [
  'id_token_encrypted_response_alg',
  'userinfo_encrypted_response_alg',
  'authorization_encrypted_response_alg',
  'request_object_signing_alg',
  'backchannel_authentication_request_signing_alg',
  'require_signed_request_object',
] as const;

/** Settings for signed requests. The server verifies the signatures with the client's public key (RFC 7517 §4.2). */
const SIGNED = [
  'request_object_signing_alg',
  'require_signed_request_object',
  'backchannel_authentication_request_signing_alg',
] as const;

function keysCanVerify(client: ClientConfig): Fault[] {
  const reason = authMethodOf(client) === 'private_key_jwt' ? 'private_key_jwt' : SIGNED.find((key) => client[key]);
  if (reason === undefined || client.jwks?.keys.some(verifies) !== false) return [];
  return [{ path: ['jwks'], message: `needs a key that verifies signatures (use: sig) for ${reason}` }];
}

function keysAreThere(client: ClientConfig): Fault[] {
  if (client.jwks !== undefined || client.jwks_uri !== undefined) return [];
  const method = authMethodOf(client);
  const reason =
    method === 'private_key_jwt' || method === 'self_signed_tls_client_auth'
      ? method
      : NEEDS_KEYS.find((key) => client[key]);
  return reason === undefined ? [] : [{ path: ['jwks_uri'], message: `or jwks is required for ${reason}` }];
}

/** Refuses `jwks` beside `jwks_uri` (RFC 7591 §2). */
function keysStandOnce({ jwks, jwks_uri: uri }: ClientConfig): Fault[] {
  if (jwks === undefined || uri === undefined) return [];
  return [{ path: ['jwks'], message: 'must be left out if jwks_uri is set' }];
}

function certificatesAreAskedFor(client: ClientConfig, { listen }: Settings): Fault[] {
  if (listen === undefined) return [];
  const { client_certificates: certificates } = listen;
  const method = authMethodOf(client);
  const path = ['token_endpoint_auth_method'];
  if (method === 'tls_client_auth' && certificates?.ca === undefined)
    return [{ path, message: 'is tls_client_auth, which needs listen.client_certificates.ca' }];
  if (certificates !== undefined) return [];
  const message = 'needs listen.client_certificates';
  if (method === 'self_signed_tls_client_auth') return [{ path, message }];
  const isBound = client.tls_client_certificate_bound_access_tokens === true;
  return isBound ? [{ path: ['tls_client_certificate_bound_access_tokens'], message }] : [];
}

const SUBJECTS = [
  'tls_client_auth_subject_dn',
  'tls_client_auth_san_dns',
  'tls_client_auth_san_uri',
  'tls_client_auth_san_ip',
  'tls_client_auth_san_email',
] as const;

/** Requires exactly one certificate name for `tls_client_auth` (RFC 8705 §2.1.2). */
function certificateHasOneName(client: ClientConfig): Fault[] {
  const given = SUBJECTS.filter((key) => client[key] !== undefined);
  if (authMethodOf(client) !== 'tls_client_auth')
    return given.map((key) => ({ path: [key], message: 'is only for tls_client_auth' }));
  if (given.length === 1) return [];
  return [{ path: [SUBJECTS[0]], message: `or exactly one other tls_client_auth_* is required` }];
}

function hs256IsAllowed({ type, id_token_signing_alg: alg }: ClientConfig, { keys }: Settings): Fault[] {
  if (alg !== 'HS256') return [];
  const path = ['id_token_signing_alg'];
  if (type === 'spa') return [{ path, message: 'must not be HS256 for type spa, which cannot keep a secret' }];
  if (keys === undefined || keys.hs256) return [];
  return [
    { path, message: 'is HS256, which keys.hs256 does not allow: anybody who can verify such a token can forge one' },
  ];
}

/** Requires at least 32 bytes for a secret that signs (RFC 7518 §3.2). */
function signingSecretIsLong(client: ClientConfig): Fault[] {
  if (client.secret?.isRead !== true || !signsWithSecret(client)) return [];
  if (Buffer.byteLength(client.secret.reveal()) >= 32) return [];
  return [{ path: ['secret'], message: 'must be at least 32 characters long, because it makes signatures' }];
}

function encryptionIsWhole(client: ClientConfig): Fault[] {
  return (['id_token', 'userinfo', 'authorization'] as const).flatMap((what) => {
    const [alg, enc] = [`${what}_encrypted_response_alg`, `${what}_encrypted_response_enc`] as const;
    if (client[enc] === undefined || client[alg] !== undefined) return [];
    return [{ path: [enc], message: `must be left out if ${alg} is not set` }];
  });
}
