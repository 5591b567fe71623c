import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadConfig } from '../../src/config/loading/load.ts';
import { parse, problemsOf, refusal } from './problems-of.ts';

const ISSUER = 'issuer: https://login.example.com';
const NO_HOST = 'must be a host with or without a port, such as login.example.com or 10.0.0.5:3000';
const ENVIRONMENT = { WEB_SECRET: 'k3F9s0QzP1x7Yt5Vb2Lm8Nc4Rd', DEMO: 'latchkey-demo' };

/** A valid file but for the settings of one client, whose lines start at line 3. */
function client(...settings: string[]): string {
  return [ISSUER, 'clients:', ...settings.map((line, index) => `${index === 0 ? '  - ' : '    '}${line}`)].join('\n');
}

const SPA = ['client_id: shop', 'client_name: Shop', 'type: spa'];
const CIBA_GRANT = 'urn:openid:params:grant-type:ciba';
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const CALLBACK = 'redirect_uris: [https://shop.example.com/callback]';
const WEB = ['client_id: web', 'client_name: Web', 'type: web', 'secret: { env: WEB_SECRET }'];
const MACHINE = ['client_id: job', 'client_name: Job', 'type: machine', 'secret: { env: WEB_SECRET }'];
const API =
  '\nresources: [{ identifier: https://api.example.com, name: API, scopes: { orders: { description: Orders } } }]';
const HTTPS_ONLY = 'must be https: http is for loopback addresses only';
const SPELLING = 'because clients compare it character by character';
const DURATION = 'must be a duration such as 90s, 15m, 1h or 14d';

/** What is refused: the file, and every problem that it must report. */
const BAD: Record<string, [text: string, problems: string[]]> = {
  'many kinds of faults at once': [
    `${ISSUER}
listen: { tls: { cert: /none.pem, key: /dev/null } }
workers: two
resources: [{ identifier: https://api.example.com, scopes: { 'a:read': { description: Read } } }]
clients:
  - { client_id: a, client_name: A, type: spb, scopes: [opnid], resources: [https://apy.example.com] }
  - { client_id: b, client_name: B, type: machine, secret: { env: SHORT }, scopes: ['a:reed'], resources: [https://apy.example.com] }
accounts: [{ email: ann, name: Ann, password: { env: DEMO } }]`,
    [
      '2 listen.tls.cert: the file /none.pem cannot be read (ENOENT)',
      '3 workers: must be a number',
      '4 resources[0].name: is required',
      '6 clients[0].type: client "a": must be one of spa, web, machine (did you mean spa?)',
      '6 clients[0].scopes[0]: client "a": is not a scope of any of its resources (did you mean openid?); their scopes are openid, profile, email, roles, offline_access, a:read',
      '6 clients[0].resources[0]: client "a": is not under resources (did you mean https://api.example.com?)',
      '7 clients[1].secret: client "b": can be guessed: it has at most 37 bits of entropy instead of 128; generate one with latchkey secret new',
      '7 clients[1].scopes[0]: client "b": is not a scope of any of its resources (did you mean a:read?); their scopes are openid, profile, email, roles, offline_access, a:read',
      '7 clients[1].resources[0]: client "b": is not under resources (did you mean https://api.example.com?)',
      '8 accounts[0].email: must be an email address',
      '8 accounts[0].password: is shorter than passwords.min_length (15)',
    ],
  ],
  'registration response types that the profile does not allow': [
    `${ISSUER}\nregistration: { response_types: [code, code id_token, id_token token] }`,
    ['2 registration.response_types[2]: must not be id_token token for profile oauth2.1'],
  ],
  'registration response types without the authorization code grant': [
    `${ISSUER}\nprofile: legacy\nregistration: { grant_types: [client_credentials], response_types: [code, id_token] }`,
    ['3 registration.response_types: needs authorization_code under registration.grant_types'],
  ],
  'replicated durability of a store in a file': [
    `${ISSUER}\nstores: { grants: 'redis://r1', records: 'sqlite:a.db', durability: replicated }`,
    [
      '2 stores.durability: must not be replicated for records, which are in a file: only Redis and PostgreSQL have replicas',
    ],
  ],
  'replicated durability of one role in a file': [
    `${ISSUER}\nstores: { durability: { grants: replicated } }`,
    [
      '2 stores.durability.grants: must not be replicated for grants, which are in a file: only Redis and PostgreSQL have replicas',
    ],
  ],
  'an empty file': ['', ['- issuer: is required']],
  'a file that is a list': ['- issuer', ['- must be a mapping of settings: docs/latchkey.example.yaml lists all']],
  'an issuer that is not a URL': ['issuer: login', ['1 issuer: must be an absolute https URL']],
  'an issuer of another scheme': ['issuer: ftp://example.com', ['1 issuer: must be an absolute https URL']],
  'an http issuer that is not loopback': ['issuer: http://login.example.com', [`1 issuer: ${HTTPS_ONLY}`]],
  'an http issuer that only starts like loopback': [
    'issuer: http://localhost.example.com',
    [`1 issuer: ${HTTPS_ONLY}`],
  ],
  'an issuer with a query': ['issuer: https://a.example?x=1', ['1 issuer: must not have a query or a fragment']],
  'an issuer with a fragment': ['issuer: "https://a.example#x"', ['1 issuer: must not have a query or a fragment']],
  'an issuer with a password': [
    'issuer: https://u:p@a.example',
    ['1 issuer: must not contain a user name or a password'],
  ],
  'an issuer with a path': [
    'issuer: https://a.example/auth',
    ['1 issuer: must not have a path: give the server its own host name'],
  ],
  'an issuer that ends with a slash': [
    'issuer: https://a.example/',
    [`1 issuer: must be written https://a.example, ${SPELLING}`],
  ],
  'an issuer that is not in its normal form': [
    'issuer: HTTPS://A.example:443',
    [`1 issuer: must be written https://a.example, ${SPELLING}`],
  ],
  'an issuer below a path': [
    'issuer: https://a.example/login',
    ['1 issuer: must not have a path: give the server its own host name'],
  ],
  'an unknown setting': [
    `${ISSUER}\nisuer: x\nlisten: { prot: 1 }\nnonsense: 1`,
    [
      '2 isuer: is not a setting (did you mean issuer?)',
      '3 listen.prot: is not a setting (did you mean port?)',
      '4 nonsense: is not a setting: docs/latchkey.example.yaml lists all',
    ],
  ],
  'a key that is written twice': [
    `${ISSUER}\nworkers: 1\nworkers: 2`,
    ['3 workers is written twice in one mapping, first on line 2; keep one'],
  ],
  'text that is not YAML': [`${ISSUER}\n\tworkers: 1`, ['2 is indented with a tab; YAML allows only spaces']],
  'a second document': [`${ISSUER}\n---\n${ISSUER}`, ['2 a second document starts here; a file may hold only one']],
  'values of a wrong type': [
    `${ISSUER}\nworkers: two\nlisten: { port: 1.5, aliases: a }\nsign_up: { enabled: yes }\nbranding: 3\nkeys_dir: ''`,
    [
      '2 workers: must be a number',
      '3 listen.port: must be a whole number',
      '3 listen.aliases: must be a list',
      '4 sign_up.enabled: must be true or false',
      '5 branding: must be a mapping of settings: the only setting here is name',
      '6 keys_dir: must not be empty',
    ],
  ],
  'values out of range': [
    `${ISSUER}\nworkers: 0\nlisten: { port: 65536 }\npasswords: { min_length: 7, argon2: { passes: 1 } }`,
    [
      '2 workers: must be at least 1',
      '3 listen.port: must be at most 65535',
      '4 passwords.min_length: must be at least 8',
      '4 passwords.argon2.passes: must be at least 2',
    ],
  ],
  'an unknown choice': [
    `${ISSUER}\nlog: { level: inof, format: xml }`,
    [
      '2 log.level: must be one of trace, debug, info, warn, error, silent (did you mean info?)',
      '2 log.format: must be one of auto, pretty, json',
    ],
  ],
  'invalid durations': [
    `${ISSUER}\ntokens: { access_token: 15, id_token: 4w, interaction: 0s }`,
    [`2 tokens.access_token: ${DURATION}`, `2 tokens.id_token: ${DURATION}`, `2 tokens.interaction: ${DURATION}`],
  ],
  'refresh windows that are too long or invalid': [
    `${ISSUER}\ntokens: { refresh_window: 11m }\nclients: [{ client_id: app, client_name: App, type: spa, redirect_uris: ['https://app.example.com/'], refresh_window: 0 }]`,
    [
      '2 tokens.refresh_window: must be a duration of at most 10m, or 0s for none',
      '3 clients[0].refresh_window: client "app": must be a duration of at most 10m, or 0s for none',
    ],
  ],
  'contradictory lifetimes': [
    `${ISSUER}\ntokens: { refresh_token: 30d, refresh_family: 1d, authorization_code: 11m }\nsessions: { remembered: 1h }`,
    [
      '2 tokens.refresh_family: must not be shorter than tokens.refresh_token',
      '2 tokens.authorization_code: must be at most 10m (RFC 6749 §4.1.2)',
      '3 sessions.remembered: must not be shorter than sessions.default',
    ],
  ],
  'keys that are announced too late or unpublished before their tokens expire': [
    `${ISSUER}\nkeys: { sign: 5m, announce: 6m, publish: 60m, jwks_max_age: 5m }`,
    [
      '2 keys.sign: must not be shorter than keys.announce (6m)',
      '2 keys.announce: must be longer than keys.jwks_max_age plus keys.clock_skew (6m), otherwise an API with a cached /jwks could meet a key that it does not know',
      '2 keys.publish: must be at least 61m: tokens.id_token (1h) plus keys.clock_skew (1m); otherwise tokens would outlive the key that verifies them',
    ],
  ],
  'a clock skew beyond the lifetime of proofs': [
    `${ISSUER}\nkeys: { clock_skew: 301s }`,
    ['2 keys.clock_skew: must be at most 5m'],
  ],
  'keys that are unpublished before the tokens of one API expire': [
    `${ISSUER}\nkeys: { publish: 2h }\nresources: [{ identifier: https://api.example.com, name: API, access_token_ttl: 2h }]`,
    [
      '2 keys.publish: must be at least 121m: resources[0].access_token_ttl (2h) plus keys.clock_skew (1m); otherwise tokens would outlive the key that verifies them',
    ],
  ],
  'an unknown algorithm': [
    `${ISSUER}\nkeys: { algorithms: [ES256, none] }`,
    ['2 keys.algorithms[1]: must be one of ES256, RS256, PS256, EdDSA, ML-DSA-44, ML-DSA-65, ML-DSA-87'],
  ],
  'a repeated algorithm': [
    `${ISSUER}\nkeys: { algorithms: [ES256, RS256, ES256] }`,
    ['2 keys.algorithms[2]: ES256 is already in the list'],
  ],
  'an empty list of algorithms': [
    `${ISSUER}\nkeys: { algorithms: [] }`,
    ['2 keys.algorithms: needs at least one algorithm'],
  ],
  'an HSM signer without HSM settings': [
    `${ISSUER}\nkeys: { signer: pkcs11 }`,
    ['2 keys.signer: is pkcs11, but keys.pkcs11 is not set'],
  ],
  'algorithms that no HSM supports': [
    `${ISSUER}\nkeys:\n  algorithms: [ES256, RS256, ML-DSA-44]\n  signer: pkcs11\n  pkcs11: { module: /dev/null, token: a, pin: { env: WEB_SECRET } }`,
    ['3 keys.algorithms[2]: PKCS#11 modules do not support ML-DSA-44 yet; set keys.signer to ring'],
  ],
  'a missing HSM module': [
    `${ISSUER}\nkeys: { pkcs11: { module: no-such.so, token: a, pin: { env: WEB_SECRET } } }`,
    [`2 keys.pkcs11.module: the file ${resolve('no-such.so')} cannot be read (ENOENT)`],
  ],
  'an invalid token label and a PIN in the file': [
    `${ISSUER}\nkeys:\n  pkcs11:\n    module: no-such.so\n    token: ' blank'\n    pin: 1234`,
    [
      '5 keys.pkcs11.token: must be a token label of 1 to 32 characters',
      '6 keys.pkcs11.pin: a secret may not stand in this file; write { file: PATH } or { env: NAME }',
    ],
  ],
  'algorithms without keys': [
    client(...SPA, CALLBACK, 'id_token_signing_alg: PS256') +
      '\nresources: [{ identifier: https://api.example.com, name: API }]\nkeys: { algorithms: [EdDSA] }',
    [
      '7 clients[0].id_token_signing_alg: client "shop": is PS256, which keys.algorithms does not list: EdDSA',
      '8 resources[0].signing_alg: is ES256, which keys.algorithms does not list: EdDSA',
    ],
  ],
  'invalid networks and hosts': [
    `${ISSUER}\nlisten: { trusted_proxies: [10.0.0.0/33, ::1/129, proxy, 10.0.0.0/8/8], aliases: ['https://x', 'a b'] }\noutgoing: { allow: ['*.internal', 10.0.0.0/8] }`,
    [
      ...[0, 1, 2, 3].map(
        (index) => `2 listen.trusted_proxies[${index}]: must be an address or a network such as 10.0.0.0/8 or fd00::/8`,
      ),
      ...['2 listen.aliases[0]', '2 listen.aliases[1]'].map((path) => `${path}: ${NO_HOST}`),
      ...['3 outgoing.allow[0]', '3 outgoing.allow[1]'].map((path) => `${path}: ${NO_HOST}`),
    ],
  ],
  'a store of an unknown kind': [
    `${ISSUER}\nstores: { grants: "mysql://localhost", records: "sqlite:" }`,
    ['grants', 'records'].map(
      (role) =>
        `2 stores.${role}: not a store URL: use sqlite:PATH, redis://HOST, redis+sentinel://H1,H2/NAME, redis+cluster://H1,H2 (rediss… for TLS) or postgres://USER:PASSWORD@H1,H2/DATABASE`,
    ),
  ],
  'missing TLS files and an http issuer with TLS': [
    'issuer: http://localhost\nlisten: { tls: { cert: no-such.pem, key: no-such.pem } }',
    [
      '1 issuer: must be https, because listen.tls is set',
      `2 listen.tls.cert: the file ${resolve('no-such.pem')} cannot be read (ENOENT)`,
      `2 listen.tls.key: the file ${resolve('no-such.pem')} cannot be read (ENOENT)`,
    ],
  ],
  'missing TLS files': [
    `${ISSUER}\nlisten:\n  tls:\n    cert: no-such.pem\n    key: no-such.pem`,
    [
      `4 listen.tls.cert: the file ${resolve('no-such.pem')} cannot be read (ENOENT)`,
      `5 listen.tls.key: the file ${resolve('no-such.pem')} cannot be read (ENOENT)`,
    ],
  ],
  'an empty client': [
    client('{}'),
    [
      '3 clients[0].client_id: is required',
      '3 clients[0].client_name: is required',
      '3 clients[0].type: is required: one of spa, web, machine',
    ],
  ],
  'a client ID with a blank': [
    client('client_id: "a b"', 'client_name: A', 'type: spa', CALLBACK),
    ['3 clients[0].client_id: client "a b": must be 1 to 128 visible ASCII characters'],
  ],
  'a browser app with a secret': [
    client(...SPA, CALLBACK, 'secret: { env: WEB_SECRET }'),
    ['7 clients[0].secret: client "shop": a client of type spa cannot keep a secret: remove it, or make the type web'],
  ],
  'a browser app without redirect URIs and with introspection': [
    client(...SPA, 'introspection: true'),
    [
      '3 clients[0].redirect_uris: client "shop": needs at least one address for type spa',
      '6 clients[0].introspection: client "shop": must be left out for type spa, which cannot authenticate',
    ],
  ],
  'a browser and device app without redirect URIs': [
    client(...SPA, `grant_types: [authorization_code, ${DEVICE_GRANT}]`),
    ['3 clients[0].redirect_uris: client "shop": needs at least one address for type spa'],
  ],
  'CIBA ping mode without a notification endpoint': [
    client(...WEB, `grant_types: [${CIBA_GRANT}]`, 'backchannel_token_delivery_mode: ping'),
    [
      '3 clients[0].backchannel_client_notification_endpoint: client "web": is required if backchannel_token_delivery_mode is ping',
    ],
  ],
  'a notification endpoint with plain http': [
    client(...WEB, CALLBACK, 'backchannel_client_notification_endpoint: http://app.example/'),
    ['8 clients[0].backchannel_client_notification_endpoint: client "web": must be an https URL'],
  ],
  'a notification endpoint without the CIBA grant': [
    client(...WEB, CALLBACK, 'backchannel_client_notification_endpoint: https://app.example/'),
    [
      `8 clients[0].backchannel_client_notification_endpoint: client "web": is only for clients with the grant type ${CIBA_GRANT}`,
    ],
  ],
  'the CIBA grant for an app without a secret': [
    client(...SPA, CALLBACK, `grant_types: [authorization_code, ${CIBA_GRANT}]`),
    [`7 clients[0].grant_types[1]: client "shop": must not be ${CIBA_GRANT} for type spa`],
  ],
  'the device grant for a machine': [
    client(...MACHINE, `grant_types: [${DEVICE_GRANT}]`),
    [`7 clients[0].grant_types[0]: client "job": must not be ${DEVICE_GRANT} for type machine`],
  ],
  'private_key_jwt without a key': [
    client('client_id: web', 'client_name: Web', 'type: web', 'token_endpoint_auth_method: private_key_jwt', CALLBACK),
    ['3 clients[0].jwks_uri: client "web": or jwks is required for private_key_jwt'],
  ],
  'a secret beside a key': [
    client(...WEB, 'token_endpoint_auth_method: private_key_jwt', 'jwks_uri: https://app.example/jwks', CALLBACK),
    ['6 clients[0].secret: client "web": must be left out: its token_endpoint_auth_method is private_key_jwt'],
  ],
  'a private key in place of a public key': [
    client(...WEB, CALLBACK, 'jwks: { keys: [{ kty: EC, d: x }] }'),
    ['8 clients[0].jwks.keys[0]: client "web": must be a public key, and this one is private'],
  ],
  'a key that is too weak': [
    client(...WEB, CALLBACK, 'jwks: { keys: [{ kty: RSA, n: AQAB, e: AQAB }] }'),
    ['8 clients[0].jwks.keys[0]: client "web": must have 2048 to 8192 bits, and this one has 17'],
  ],
  'the refresh token grant for a machine': [
    client(...MACHINE, 'grant_types: [client_credentials, refresh_token]'),
    ['7 clients[0].grant_types[1]: client "job": must not be refresh_token for type machine'],
  ],
  'the password grant for a third-party app and for a machine': [
    client(...WEB, CALLBACK, 'profile: legacy', 'grant_types: [authorization_code, password]') +
      client(...MACHINE, 'profile: legacy', 'first_party: true', 'grant_types: [password]').replace(
        /^[^]*clients:/,
        '',
      ),
    [
      '9 clients[0].grant_types[1]: client "web": must not be password unless first_party is true',
      '16 clients[1].grant_types[0]: client "job": must not be password for type machine',
    ],
  ],
  'response types for a machine': [
    client(...MACHINE, 'response_types: [code]'),
    ['7 clients[0].response_types: client "job": must be left out for type machine, which does not sign people in'],
  ],
  'tokens in the browser that must be key-bound': [
    client(...SPA, CALLBACK, 'profile: legacy', 'dpop_bound_access_tokens: true', 'response_types: [code, code token]'),
    [
      '9 clients[0].response_types: client "shop": must not return tokens to the browser if dpop_bound_access_tokens is set',
    ],
  ],
  'token exchange by a public client without a policy': [
    client(...SPA, CALLBACK, 'grant_types: [urn:ietf:params:oauth:grant-type:token-exchange]'),
    [
      '3 clients[0].token_exchange: client "shop": is required for urn:ietf:params:oauth:grant-type:token-exchange',
      '7 clients[0].grant_types[0]: client "shop": must not be urn:ietf:params:oauth:grant-type:token-exchange for type spa',
    ],
  ],
  'a policy for token exchange without the grant type': [
    client(...MACHINE, 'token_exchange: { clients: [shop] }'),
    [
      '7 clients[0].token_exchange: client "job": needs urn:ietf:params:oauth:grant-type:token-exchange under grant_types',
    ],
  ],
  'token exchange for an unknown API and to an API of another client': [
    client(
      ...MACHINE,
      'grant_types: [urn:ietf:params:oauth:grant-type:token-exchange]',
      'token_exchange: { clients: [shop], audiences: [https://api.example.co], resources: [https://api.example.com] }',
    ) + API,
    [
      '8 clients[0].token_exchange.audiences[0]: client "job": is not under resources (did you mean https://api.example.com?)',
      '8 clients[0].token_exchange.resources[0]: client "job": must be one of the resources of the client',
    ],
  ],
  'HS256 without permission and with a short secret': [
    client(...WEB, CALLBACK, 'id_token_signing_alg: HS256'),
    [
      '6 clients[0].secret: client "web": must be at least 32 characters long, because it makes signatures',
      '8 clients[0].id_token_signing_alg: client "web": is HS256, which keys.hs256 does not allow: anybody who can verify such a token can forge one',
    ],
  ],
  'HS256 for an app without a secret': [
    client(...SPA, CALLBACK, 'id_token_signing_alg: HS256'),
    ['7 clients[0].id_token_signing_alg: client "shop": must not be HS256 for type spa, which cannot keep a secret'],
  ],
  'a web app without client authentication': [
    client(...WEB, CALLBACK, 'token_endpoint_auth_method: none'),
    [
      '6 clients[0].secret: client "web": must be left out: its token_endpoint_auth_method is none',
      '8 clients[0].token_endpoint_auth_method: client "web": must not be none for type web',
    ],
  ],
  'certificate authentication on a server that requests no certificates': [
    client('client_id: job', 'client_name: Job', 'type: machine', 'token_endpoint_auth_method: tls_client_auth'),
    [
      '3 clients[0].tls_client_auth_subject_dn: client "job": or exactly one other tls_client_auth_* is required',
      '6 clients[0].token_endpoint_auth_method: client "job": is tls_client_auth, which needs listen.client_certificates.ca',
    ],
  ],
  'a missing file of outgoing authorities': [
    `${ISSUER}\noutgoing: { ca: no-such.pem }`,
    [`2 outgoing.ca: the file ${resolve('no-such.pem')} cannot be read (ENOENT)`],
  ],
  'a cipher suite that FAPI 2.0 does not allow': [
    `${ISSUER}\nprofile: fapi2-security\nkeys: { algorithms: [ES256] }\nlisten: { tls: { cert: /dev/null, key: /dev/null, ciphers: [ECDHE-RSA-CHACHA20-POLY1305] } }`,
    [
      '4 listen.tls.ciphers[0]: must not be ECDHE-RSA-CHACHA20-POLY1305 for profile fapi2-security: ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-RSA-AES256-GCM-SHA384',
    ],
  ],
  'claims that cannot be set or have no source': [
    client(
      ...['client_id: web', 'client_name: Web', 'type: spa', CALLBACK],
      'claims: { sub: { value: x }, email_verified: { value: true }, "a b": { value: x }, groups: { from: groups },',
      '  both: { from: name, value: x }, none: {}, place: { value: x, in: [token] } }',
    ),
    [
      '7 clients[0].claims.sub: client "web": is a claim that cannot be set, because it has a fixed meaning: choose another name',
      '7 clients[0].claims.email_verified: client "web": is a claim that cannot be set, because it has a fixed meaning: choose another name',
      '7 clients[0].claims["a b"]: client "web": must be the name of a claim: letters, digits and _ . : / -, at most 128',
      '7 clients[0].claims.groups.from: client "web": must be one of sub, email, email_verified, name, roles, updated_at',
      '8 clients[0].claims.both: client "web": needs either from or value',
      '8 clients[0].claims.none: client "web": needs either from or value',
      '8 clients[0].claims.place.in[0]: client "web": must be one of id_token, userinfo, access_token, introspection',
    ],
  ],
  'userinfo claims of a resource': [
    `${ISSUER}\nresources: [{ identifier: "https://api.example", name: A, claims: { a: { value: x, in: [userinfo] } } }]`,
    [
      '2 resources[0].claims.a.in[0]: is only for claims of clients: the claims of a resource can be in access_token and introspection',
    ],
  ],
  'pairwise subjects of several hosts': [
    client(
      ...['client_id: web', 'client_name: Web', 'type: spa', 'subject_type: pairwise'],
      'redirect_uris: [https://a.example/, https://b.example/]',
    ),
    [
      '3 clients[0].sector_identifier_uri: client "web": is required for pairwise subjects: redirect_uris have several hosts',
    ],
  ],
  'a certificate header without trusted proxies': [
    `${ISSUER}\nlisten: { client_certificates: { header: client-cert } }`,
    ['2 listen.client_certificates.header: needs listen.trusted_proxies: otherwise anybody could send this header'],
  ],
  'a certificate port without TLS': [
    `${ISSUER}\nlisten: { client_certificates: { port: 3443, url: "https://mtls.example.com" } }`,
    ['2 listen.client_certificates.port: needs listen.tls; if a proxy ends TLS, set header instead'],
  ],
  'a web app without secret and redirect URIs': [
    client('client_id: web', 'client_name: Web', 'type: web'),
    [
      '3 clients[0].secret: client "web": is required for type web: { file: PATH } or { env: NAME }',
      '3 clients[0].redirect_uris: client "web": needs at least one address for type web',
    ],
  ],
  'a machine with redirect URIs': [
    client(...MACHINE, CALLBACK, 'post_logout_redirect_uris: [https://shop.example.com/]'),
    ['redirect_uris', 'post_logout_redirect_uris'].map(
      (key, index) =>
        `${7 + index} clients[0].${key}: client "job": must be left out for type machine, which does not sign people in`,
    ),
  ],
  'redirect URIs that could lead elsewhere': [
    client(
      ...SPA,
      'redirect_uris:',
      ...[
        '/callback',
        'https://*.example.com/callback',
        '"https://shop.example.com/callback#x"',
        'https://user:pw@shop.example.com/',
        'http://shop.example.com/callback',
        '"javascript:alert(1)"',
        '"https://shop.example.com/ callback"',
        '"data:text/html,x"',
      ].map((uri) => `  - ${uri}`),
    ),
    [
      'must be an absolute URI',
      'must not have a wildcard; list every address',
      'must not have a fragment',
      'must not contain a user name or a password',
      HTTPS_ONLY,
      'must be https, or a private-use scheme with a dot such as com.example.app:/callback',
      'must be an absolute URI',
      'must be https, or a private-use scheme with a dot such as com.example.app:/callback',
    ].map((message, index) => `${7 + index} clients[0].redirect_uris[${index}]: client "shop": ${message}`),
  ],
  'a redirect scheme that no app may have': [
    `${client(...SPA, 'redirect_uris: ["myapp:/callback", "listed:/callback"]')}\nredirect_schemes: [listed, javascript]`,
    ['7 redirect_schemes[1]: must be the scheme of an app, such as cursor, without a colon'],
  ],
  'a redirect scheme without a dot that is not listed': [
    `${client(...SPA, 'redirect_uris: ["myapp:/callback", "listed:/callback"]')}\nredirect_schemes: [listed]`,
    [
      '6 clients[0].redirect_uris[0]: client "shop": must be https, or a private-use scheme with a dot such as com.example.app:/callback; redirect_schemes lists others',
    ],
  ],
  'sign-out addresses that break the same rules': [
    client(...SPA, CALLBACK, 'post_logout_redirect_uris: [http://shop.example.com/]'),
    [`7 clients[0].post_logout_redirect_uris[0]: client "shop": ${HTTPS_ONLY}`],
  ],
  'a private-use scheme for a confidential client': [
    client(...WEB, 'redirect_uris: ["com.example.app:/callback"]'),
    ['7 clients[0].redirect_uris[0]: client "web": must be https for type web'],
  ],
  'links and origins that a page must not use': [
    client(...SPA, CALLBACK, 'logo_uri: "javascript:alert(1)"', 'allowed_origins: [https://a.example/]'),
    [
      '7 clients[0].logo_uri: client "shop": must be an http or https URL',
      '8 clients[0].allowed_origins[0]: client "shop": must be an origin: scheme, host and port, with no path and no slash at the end',
    ],
  ],
  'unregistered resources and scopes': [
    client(
      ...SPA,
      CALLBACK,
      'scopes: [openid, ordrs]',
      'resources: [https://api.example.com]',
      'default_resource: https://other.example.com',
    ) + API,
    [
      '7 clients[0].scopes[1]: client "shop": is not a scope of any of its resources (did you mean orders?); their scopes are openid, profile, email, roles, offline_access, orders',
      '9 clients[0].default_resource: client "shop": must be one of the resources of the client',
    ],
  ],
  'a resource that is spelt differently': [
    client(...SPA, CALLBACK, 'resources: [https://api.example.com/]') + API,
    ['7 clients[0].resources[0]: client "shop": is not under resources (did you mean https://api.example.com?)'],
  ],
  'a mistyped setting beside other faults of its client': [
    client(...WEB, 'redirect_uri: [https://a.example/]', 'scopes: [opnid]'),
    [
      '3 clients[0].redirect_uris: client "web": needs at least one address for type web',
      '7 clients[0].redirect_uri: client "web": is not a setting (did you mean redirect_uris?)',
      '8 clients[0].scopes[0]: client "web": is not a scope of any of its resources (did you mean openid?); their scopes are openid, profile, email, roles, offline_access',
    ],
  ],
  'repeated names': [
    `${client(...SPA, CALLBACK)}\n  - { client_id: shop, client_name: B, type: spa, ${CALLBACK} }${API}
  - { identifier: https://api.example.com, name: B }
accounts:
  - { email: a@example.com, name: A, password: { env: WEB_SECRET } }
  - { email: A@example.com, name: A, password: { env: WEB_SECRET } }`
      .replace('resources: [{', 'resources:\n  - {')
      .replace('}]', '}'),
    [
      '7 clients[1].client_id: client "shop": is already used as the client_id of clients[0]',
      '10 resources[1].identifier: is already used as the identifier of resources[0]',
      '13 accounts[1].email: is already used as the email of accounts[0]',
    ],
  ],
  'invalid resources': [
    `${ISSUER}\nresources:\n  - { identifier: api, name: A, scopes: { openid: { description: x }, "a b": { description: y } } }\n  - { identifier: "https://a.example#x", name: '' }\n  - { identifier: https://b.example, name: B, scopes: { openid: { description: x } } }`,
    [
      '3 resources[0].identifier: must be an absolute URI',
      '3 resources[0].scopes["a b"]: is not a valid scope: use visible ASCII without spaces, quotes and backslashes (RFC 6749 §3.3)',
      '4 resources[1].identifier: must not have a fragment',
      '4 resources[1].name: must not be empty',
      '5 resources[2].scopes.openid: is a scope of OpenID Connect itself: choose another name',
    ],
  ],
  'an account with a password that its owner could not choose': [
    `${ISSUER}\naccounts: [{ email: a@example.com, name: A, password: { env: SHORT } }]`,
    ['2 accounts[0].password: is shorter than passwords.min_length (15)'],
  ],
};

describe('A configuration file', () => {
  for (const [what, [text, problems]] of Object.entries(BAD)) {
    it(`A configuration file is refused for ${what}`, () => {
      assert.deepEqual(problemsOf(text, { environment: { ...ENVIRONMENT, SHORT: 'tooshort' } }), problems);
    });
  }

  it('A configuration file needs only an issuer', () => {
    const { config, warnings } = parse(ISSUER);
    assert.equal(config.issuer, 'https://login.example.com');
    assert.equal(config.tokens.access_token, 900);
    assert.equal(config.stores.grants, `sqlite:${resolve('.latchkey/latchkey.db')}`);
    assert.deepEqual(warnings, []);
  });

  for (const issuer of [
    'https://a.example',
    'https://a.example:8443',
    'http://localhost:3000',
    'http://127.0.0.1',
    'http://[::1]:3000',
  ]) {
    it(`A configuration file may have the issuer ${issuer}`, () => {
      assert.equal(parse(`issuer: ${issuer}`).config.issuer, issuer);
    });
  }

  it('A configuration file may list redirect URIs of web, loopback and native apps', () => {
    const uris = ['https://a.example/cb?x=1', 'http://localhost:3001/cb', 'http://127.0.0.1/cb', 'com.example.app:/cb'];
    const { config } = parse(client(...SPA, `redirect_uris: ${JSON.stringify(uris)}`));
    assert.deepEqual(config.clients[0]?.redirect_uris, uris);
  });

  it('A configuration file may repeat values by anchors a limited number of times', () => {
    const { config } = parse(`${ISSUER}\nsign_up: { roles: &roles [user] }\naccounts: []\nlisten: { aliases: *roles }`);
    assert.deepEqual(config.listen.aliases, ['user']);
    const bomb = Array.from({ length: 12 }, (_, level) =>
      level === 0 ? 'a0: &a0 [x, x]' : `a${level}: &a${level} [${`*a${level - 1}, `.repeat(9)}]`,
    );
    assert.deepEqual(problemsOf(bomb.join('\n')), ['- has more than 100 aliases that refer to each other']);
  });

  it('The configuration parser refuses a file that is nested too deep or is too large', () => {
    assert.equal(problemsOf('['.repeat(5_000))[0], '1 is nested too deeply');
    assert.deepEqual(problemsOf(`# ${'x'.repeat(1_048_576)}`), ['- is larger than 1 MiB']);
  });

  it('A configuration file cannot reach the prototypes of the settings', () => {
    assert.deepEqual(problemsOf(`${ISSUER}\n__proto__: { workers: 9 }\nconstructor: 1`), [
      '2 __proto__: is not a setting: docs/latchkey.example.yaml lists all',
      '3 constructor: is not a setting: docs/latchkey.example.yaml lists all',
    ]);
  });

  it('One report lists every problem with its file and line', () => {
    const { message } = refusal(() => parse('issuer: http://a.example\nlisten: { port: x }', {}));
    assert.equal(
      message,
      `latchkey.yaml has 2 problems:\n
  latchkey.yaml:1  issuer: ${HTTPS_ONLY} (it is "http://a.example")
  latchkey.yaml:2  listen.port: must be a number (it is "x")`,
    );
  });

  it('The configuration is loaded from disk, and TLS files are relative to it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-config-'));
    try {
      for (const name of ['cert.pem', 'key.pem']) writeFileSync(join(folder, name), 'PEM');
      const file = join(folder, 'latchkey.yaml');
      writeFileSync(file, `${ISSUER}\nlisten: { tls: { cert: cert.pem, key: key.pem } }`);
      const { config } = loadConfig({ file, environment: {} });
      assert.deepEqual(config.listen.tls, { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('A missing configuration file is reported like any other problem', () => {
    const { problems } = refusal(() => loadConfig({ file: 'no-such.yaml', environment: {} }));
    assert.deepEqual(problems, [
      {
        path: '',
        message: `cannot be read (ENOENT): ${resolve('no-such.yaml')} does not exist; name an existing file`,
      },
    ]);
  });

  it('Tokens can be signed with every algorithm that has keys', () => {
    const algorithms = ['ES256', 'RS256', 'PS256', 'EdDSA', 'ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'];
    const resources = algorithms.map(
      (alg) => `{ identifier: "https://${alg}.example.com", name: API, signing_alg: ${alg} }`,
    );
    const text = `${ISSUER}\nkeys: { algorithms: [${algorithms.join()}] }\nresources: [${resources.join()}]`;
    assert.deepEqual(
      parse(text).config.resources.map((resource) => resource.signing_alg),
      algorithms,
    );
  });
});
