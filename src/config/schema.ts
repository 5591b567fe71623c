import { z } from 'zod';
import { parseDuration } from '../lib/duration.ts';
import * as rules from './rules.ts';
import { Secret } from './secret.ts';

/** A duration as text (`15m`), as whole seconds once read. */
const duration = z.string('must be a duration such as 90s, 15m, 1h or 14d').transform((text, context) => {
  const seconds = parseDuration(text);
  if (seconds !== undefined && seconds > 0) return seconds;
  context.addIssue({ code: 'custom', message: 'must be a duration such as 90s, 15m, 1h or 14d' });
  return z.NEVER;
});

/** Text that one rule holds for. */
function ruled(rule: rules.Rule) {
  return z.string().check((context) => {
    const message = rule(context.value);
    if (message !== undefined) context.issues.push({ code: 'custom', message, input: context.value });
  });
}

const origin = ruled(rules.originRule);
/** Known by identity to whoever resolves references to secrets. */
export const secret = z.instanceof(Secret, { message: 'must be a secret: { file: PATH } or { env: NAME }' });
const scopeName = z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]+$/, 'is not a scope (RFC 6749 §3.3)');
const roleName = z.string().regex(/^[a-z][a-z0-9_-]{0,63}$/, 'must be lower case letters, digits, _ and -');
const signingAlgorithm = z.enum(['ES256', 'RS256', 'PS256', 'EdDSA', 'ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87']);

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
});

/** A client as the file and the store describe it; names follow RFC 7591 where it has one. */
export const clientSchema = z.strictObject({
  client_id: z.string().regex(/^[\x21-\x7E]{1,128}$/, 'must be 1 to 128 visible ASCII characters'),
  client_name: z.string().min(1),
  type: z.enum(['spa', 'web', 'machine']),
  secret: secret.optional(),
  redirect_uris: z.array(ruled(rules.redirectUriRule)).default([]),
  post_logout_redirect_uris: z.array(ruled(rules.redirectUriRule)).default([]),
  allowed_origins: z.array(origin).default([]),
  backchannel_logout_uri: ruled(rules.backchannelUriRule).optional(),
  scopes: z.array(scopeName).default(['openid']),
  resources: z.array(z.string()).default([]),
  default_resource: z.string().optional(),
  first_party: z.boolean().default(false),
  id_token_signing_alg: signingAlgorithm.default('ES256'),
  introspection: z.boolean().default(false),
  client_uri: ruled(rules.webUrlRule).optional(),
  logo_uri: ruled(rules.webUrlRule).optional(),
  policy_uri: ruled(rules.webUrlRule).optional(),
  tos_uri: ruled(rules.webUrlRule).optional(),
});

/** Clients by themselves, for the store. */
export const clientsSchema = z.strictObject(
  { clients: z.array(clientSchema).min(1, 'needs at least one client') },
  'must be a client, or a list of them under clients',
);

const seedAccount = z.strictObject({
  email: z.email(),
  name: z.string().min(1),
  password: secret,
  roles: z.array(roleName).default(['user']),
});

export const configSchema = z.strictObject({
  issuer: ruled(rules.issuerRule),
  branding: z.strictObject({ name: z.string().min(1).max(60).default('Latchkey') }).prefault({}),
  listen: z
    .strictObject({
      host: z.string().min(1).default('127.0.0.1'),
      port: z.int().min(0).max(65_535).default(3000),
      aliases: z.array(ruled(rules.hostRule)).default([]),
      trusted_proxies: z.array(ruled(rules.networkRule)).default([]),
      tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
    })
    .prefault({}),
  workers: z.int().min(1).max(64).default(1),
  stores: z
    .strictObject({
      grants: ruled(rules.storeUrlRule).default('sqlite:.latchkey/latchkey.db'),
      records: ruled(rules.storeUrlRule).optional(),
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
      authorization_code: duration.prefault('60s'),
      interaction: duration.prefault('1h'),
    })
    .prefault({}),
  sessions: z.strictObject({ default: duration.prefault('12h'), remembered: duration.prefault('30d') }).prefault({}),
  sign_up: z
    .strictObject({ enabled: z.boolean().default(true), roles: z.array(roleName).default(['user']) })
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
    })
    .prefault({}),
  resources: z.array(resource).default([]),
  clients: z.array(clientSchema).default([]),
  accounts: z.array(seedAccount).default([]),
  outgoing: z.strictObject({ allow: z.array(ruled(rules.hostRule)).default([]) }).prefault({}),
});

/** The configuration once read: every default filled in, durations in seconds, secrets unprintable. */
export type Config = z.output<typeof configSchema>;
export type ClientConfig = z.output<typeof clientSchema>;
export type ResourceConfig = z.output<typeof resource>;
export type AccountConfig = z.output<typeof seedAccount>;
export type SigningAlgorithm = z.output<typeof signingAlgorithm>;

/** The parts of a configuration that concern each other, as far as each could be read: a faulty one is `undefined`. */
export interface Draft {
  issuer: Config['issuer'] | undefined;
  listen: Config['listen'] | undefined;
  keys: Config['keys'] | undefined;
  tokens: Config['tokens'] | undefined;
  sessions: Config['sessions'] | undefined;
  passwords: Config['passwords'] | undefined;
  resources: readonly (ResourceConfig | undefined)[];
  clients: readonly (ClientConfig | undefined)[];
  accounts: readonly (AccountConfig | undefined)[];
}
