import { z } from 'zod';
import { claimsSchema } from './sections/claims-schema.ts';
import { clientSchema, responseType } from './sections/client-schema.ts';
import { issuerSchema } from './sections/issuer-schema.ts';
import { PROFILES } from './sections/profiles.ts';
import { detailType } from './sections/detail-schema.ts';
import { documentsSchema, registrationSchema } from './sections/registration-schema.ts';
import * as rules from './rules.ts';
import { signalsSchema } from './sections/signals-schema.ts';
import {
  cipherSuite,
  contentEncryption,
  drainDelay,
  duration,
  email,
  filePath,
  keyEncryption,
  publicJwk,
  refreshWindow,
  roleName,
  ruled,
  scopeName,
  secret,
  signingAlgorithm,
} from './values.ts';

/** Label of a PKCS #11 token, which has 32 bytes and is padded with blanks (PKCS #11 §4.4.4). */
const tokenLabel = z.string().regex(/^\S(.{0,30}\S)?$/u, 'must be a token label of 1 to 32 characters');

const scope = z.strictObject({
  description: z.string().min(1),
  roles: z.array(roleName).optional(),
});

/** A resource server (RFC 8707): an API that access tokens are for. */
const resource = z.strictObject({
  identifier: ruled(rules.resourceIdentifierRule),
  name: z.string().min(1),
  scopes: z.record(scopeName, scope).default({}),
  signing_alg: signingAlgorithm.default('ES256'),
  access_token_ttl: duration.optional(),
  access_token_type: z.enum(['at+jwt', 'jwt']).optional(),
  claims: claimsSchema.optional(),
  access_token_encryption: z
    .strictObject({ alg: keyEncryption, enc: contentEncryption.default('A256GCM'), jwk: publicJwk })
    .optional(),
});

/** Servers that must hold a write before the store acknowledges it: the primary alone, or its replicas too. */
const durability = z.enum(['primary', 'replicated']);

const seedAccount = z.strictObject({
  email,
  name: z.string().min(1),
  password: secret,
  roles: z.array(roleName).default(['user']),
  email_verified: z.boolean().default(false),
});

export const configSchema = z.strictObject({
  issuer: ruled(rules.issuerRule),
  profile: z.enum(PROFILES).default('oauth2.1'),
  branding: z.strictObject({ name: z.string().min(1).max(60).default('Latchkey') }).prefault({}),
  listen: z
    .strictObject({
      host: ruled(rules.listenHostRule).default('127.0.0.1'),
      port: z.int().min(0).max(65_535).default(3000),
      aliases: z.array(ruled(rules.hostRule)).default([]),
      trusted_proxies: z.array(ruled(rules.networkRule)).default([]),
      tls: z
        .strictObject({
          cert: filePath,
          key: filePath,
          ciphers: z.array(cipherSuite).min(1, 'needs at least one cipher suite').optional(),
        })
        .optional(),
      client_certificates: z
        .strictObject({
          port: z.int().min(0).max(65_535).optional(),
          header: z
            .string()
            .regex(/^[a-z][a-z0-9-]*$/, 'must be the name of a header, in lower case')
            .optional(),
          url: ruled(rules.originRule).optional(),
          ca: filePath.optional(),
        })
        .optional(),
    })
    .prefault({}),
  workers: z.int().min(1).max(64).default(1),
  drain: z.strictObject({ delay: drainDelay.prefault('5s') }).prefault({}),
  stores: z
    .strictObject({
      grants: ruled(rules.storeUrlRule).default('sqlite:.latchkey/latchkey.db'),
      records: ruled(rules.storeUrlRule).optional(),
      durability: z
        .union([durability, z.strictObject({ grants: durability.optional(), records: durability.optional() })])
        .optional(),
    })
    .prefault({}),
  keys_dir: z.string().min(1).default('keys'),
  keys: z
    .strictObject({
      algorithms: z.array(signingAlgorithm).default(['ES256', 'RS256']),
      sign: duration.prefault('30d'),
      announce: duration.prefault('24h'),
      publish: duration.optional(),
      clock_skew: duration.prefault('60s'),
      jwks_max_age: duration.prefault('5m'),
      hs256: z.boolean().default(false),
      signer: z.enum(['ring', 'pkcs11']).default('ring'),
      pkcs11: z.strictObject({ module: filePath, token: tokenLabel, pin: secret }).optional(),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
      format: z.enum(['auto', 'pretty', 'json']).default('auto'),
    })
    .prefault({}),
  tokens: z
    .strictObject({
      access_token: duration.prefault('15m'),
      id_token: duration.prefault('1h'),
      refresh_token: duration.prefault('14d'),
      refresh_family: duration.prefault('90d'),
      refresh_window: refreshWindow.prefault('30s'),
      authorization_code: duration.prefault('60s'),
      interaction: duration.prefault('1h'),
    })
    .prefault({}),
  pending_requests: z
    .strictObject({
      kib_per_address: z.int().min(64).default(1024),
      kib_total: z.int().min(256).default(32_768),
    })
    .prefault({}),
  sessions: z
    .strictObject({
      default: duration.prefault('12h'),
      remembered: duration.prefault('30d'),
      front_channel_logout: z.boolean().default(false),
      session_management: z.boolean().default(false),
      place: z.enum(['none', 'block', 'address']).default('block'),
    })
    .prefault({}),
  status_lists: z
    .strictObject({ ttl: duration.refine((seconds) => seconds >= 2, 'must be at least 2s').prefault('10s') })
    .prefault({}),
  sign_up: z
    .strictObject({ enabled: z.boolean().default(false), roles: z.array(roleName).default(['user']) })
    .prefault({}),
  passwords: z
    .strictObject({
      min_length: z.int().min(8).max(64).default(15),
      argon2: z
        .strictObject({
          memory_kib: z.int().min(19_456).default(19_456),
          passes: z.int().min(2).default(2),
          parallelism: z.int().min(1).default(1),
        })
        .prefault({}),
      breached: z
        .strictObject({ file: filePath.optional(), range_url: ruled(rules.rangeUrlRule).optional() })
        .optional(),
    })
    .prefault({}),
  resources: z.array(resource).default([]),
  authorization_details_types: z.array(detailType).default([]),
  ciba: z
    .strictObject({
      waiting: z.int().min(1).max(100).default(3),
      unanswered: z.int().min(1).max(1000).default(5),
      longest_pause: duration.prefault('1h'),
    })
    .prefault({}),
  redirect_schemes: z.array(ruled(rules.appSchemeRule)).default([]),
  clients: z.array(clientSchema).default([]),
  trusted_issuers: z.array(issuerSchema).default([]),
  accounts: z.array(seedAccount).default([]),
  registration: registrationSchema.prefault({}),
  client_id_metadata_documents: documentsSchema.prefault({}),
  shared_signals: signalsSchema.prefault({}),
  deprecated: z
    .strictObject({ password_grant: z.boolean().default(false), response_types: z.array(responseType).default([]) })
    .prefault({}),
  outgoing: z.strictObject({ allow: z.array(ruled(rules.hostRule)).default([]), ca: filePath.optional() }).prefault({}),
});

/** The parsed configuration. Defaults are filled in, durations are in seconds, and secrets cannot be printed. */
export type Config = z.output<typeof configSchema> & {
  /** True in demo mode, whose passwords are published. No setting turns it on. */
  isDemo?: boolean;
};
export type ClientConfig = Config['clients'][number];
export type TrustedIssuer = Config['trusted_issuers'][number];
export type SigningAlgorithm = Config['keys']['algorithms'][number];
export type ResourceConfig = z.output<typeof resource>;
export type AccountConfig = z.output<typeof seedAccount>;

/** The parts of a configuration that checks compare with each other. A part that could not be read is `undefined`. */
export interface Draft {
  issuer: Config['issuer'] | undefined;
  profile: Config['profile'] | undefined;
  listen: Config['listen'] | undefined;
  stores: Config['stores'] | undefined;
  keys: Config['keys'] | undefined;
  tokens: Config['tokens'] | undefined;
  sessions: Config['sessions'] | undefined;
  passwords: Config['passwords'] | undefined;
  sign_up: Config['sign_up'] | undefined;
  registration: Config['registration'] | undefined;
  client_id_metadata_documents: Config['client_id_metadata_documents'] | undefined;
  shared_signals: Config['shared_signals'] | undefined;
  outgoing: Config['outgoing'] | undefined;
  resources: readonly (ResourceConfig | undefined)[];
  authorization_details_types: Config['authorization_details_types'] | undefined;
  redirect_schemes: Config['redirect_schemes'] | undefined;
  clients: readonly (ClientConfig | undefined)[];
  /** The scopes and resources of each client, even if its other settings are faulty. */
  reaches?: readonly (Pick<ClientConfig, 'scopes' | 'resources'> | undefined)[];
  trusted_issuers: readonly (TrustedIssuer | undefined)[];
  accounts: readonly (AccountConfig | undefined)[];
}
