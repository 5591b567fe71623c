import assert from 'node:assert/strict';
import { describeProblems } from '../../src/config/problems.ts';
import { parse, refusal } from './problems-of.ts';

const ISSUER = 'issuer: https://login.example.com\n';
const LONG = { SECRET: 'k3F9s0QzP1x7Yt5Vb2Lm8Nc4Rd6Wg0HjAeUiOoSaTzE', SHORT: 'xyq', DEMO: 'latchkey-demo' };

/** A file with one client, whose other settings are given. */
const client = (settings: string): string =>
  `${ISSUER}resources: [{ identifier: 'https://api.example.com', name: API, scopes: { 'a:read': { description: Read } } }]\nclients: [{ client_id: app, client_name: App, ${settings} }]`;
const spa = (settings: string): string =>
  client(`type: spa, redirect_uris: ['https://app.example.com/cb'], ${settings}`);
const web = (settings: string): string =>
  client(`type: web, redirect_uris: ['https://app.example.com/cb'], secret: { env: SECRET }, ${settings}`);

/**
 * Files that are wrong, each with the line that the operator reads: the path, the value where it is no secret, and what
 * would be right.
 */
const WRONG: [text: string, line: string][] = [
  ['', 'issuer: is required'],
  ['hunter2', 'must be a mapping of settings: docs/latchkey.example.yaml lists all'],
  ['issuer: [https://a.example]', 'issuer: must be text'],
  [
    `${ISSUER}passwords: hunter2`,
    'passwords: must be a mapping of settings: the settings here are min_length, argon2, breached',
  ],
  [`${ISSUER}clients: hunter2`, 'clients: must be a list'],
  [`${ISSUER}clients: [hunter2]`, 'clients[0]: must be a mapping of settings: docs/latchkey.example.yaml lists all'],
  [
    `${ISSUER}keys: { pkcs11: hunter2 }`,
    'keys.pkcs11: must be a mapping of settings: the settings here are module, token, pin',
  ],
  [`${ISSUER}sign_up: true`, 'sign_up: must be a mapping of settings: the settings here are enabled, roles'],
  [
    `${ISSUER}listen: { host: 'http://localhost' }`,
    'listen.host: must be an address or a host name, such as 127.0.0.1, 0.0.0.0 or ::, without a scheme and a port (it is "http://localhost")',
  ],
  [`${ISSUER}keys: { algorithms: ES256 }`, 'keys.algorithms: must be a list (it is "ES256")'],
  [`${ISSUER}listen: { tls: { cert: a.pem } }`, 'listen.tls.key: is required'],
  [
    `${ISSUER}resources: [{ identifier: 'https://a', name: A, scopes: { 'a b': { description: x } } }]`,
    'resources[0].scopes["a b"]: is not a valid scope: use visible ASCII without spaces, quotes and backslashes (RFC 6749 §3.3)',
  ],
  [
    `${ISSUER}resources: [{ identifier: 'https://a', name: A, scopes: { openid: { description: x } } }]`,
    'resources[0].scopes.openid: is a scope of OpenID Connect itself: choose another name',
  ],
  [
    `${ISSUER}registration: { response_types: [id_token token] }`,
    'registration.response_types[0]: must not be id_token token for profile oauth2.1 (it is "id_token token")',
  ],
  ["issuer: 'https://a.example", 'is not YAML: a quote or a bracket is not closed; close it'],
  [
    'issuer: https://a.example: x',
    'is not YAML: Nested mappings are not allowed in compact mappings; indent all settings of a level equally, and put texts with ": " or " #" in quotes',
  ],
  ['issuer: login', 'issuer: must be an absolute https URL (it is "login")'],
  [
    'issuer: http://login.example.com',
    'issuer: must be https: http is for loopback addresses only (it is "http://login.example.com")',
  ],
  [
    'issuer: https://a.example/',
    'issuer: must be written https://a.example, because clients compare it character by character (it is "https://a.example/")',
  ],
  [
    'issuer: https://a.example/auth',
    'issuer: must not have a path: give the server its own host name (it is "https://a.example/auth")',
  ],
  ['issuer: https://me:hunter2@a.example', 'issuer: must not contain a user name or a password'],
  [`${ISSUER}isuer: x`, 'isuer: is not a setting (did you mean issuer?)'],
  [`${ISSUER}nonsense: 1`, 'nonsense: is not a setting: docs/latchkey.example.yaml lists all'],
  [`${ISSUER}port: 3000`, 'port: is not a setting: write listen.port'],
  [`${ISSUER}users: []`, 'users: is not a setting: write accounts'],
  [`${ISSUER}database: x`, 'database: is not a setting: write stores.grants'],
  [`${ISSUER}mail: { host: smtp }`, 'mail: is not a setting: this version sends no mail: remove it'],
  [`${ISSUER}smtp: { host: smtp }`, 'smtp: is not a setting: this version sends no mail: remove it'],
  [
    `${ISSUER}branding: { logo: a.png }`,
    'branding.logo: is not a setting: this version does not show a logo: remove it, and set branding.name',
  ],
  [`${ISSUER}listen: { prot: 1 }`, 'listen.prot: is not a setting (did you mean port?)'],
  [`${ISSUER}listen: { port: http }`, 'listen.port: must be a number (it is "http")'],
  [`${ISSUER}listen: { port: 3000.5 }`, 'listen.port: must be a whole number (it is 3000.5)'],
  [`${ISSUER}listen: { port: 70000 }`, 'listen.port: must be at most 65535 (it is 70000)'],
  [
    `${ISSUER}listen: { aliases: ['https://a'] }`,
    'listen.aliases[0]: must be a host with or without a port, such as login.example.com or 10.0.0.5:3000 (it is "https://a")',
  ],
  [
    `${ISSUER}listen: { trusted_proxies: [proxy] }`,
    'listen.trusted_proxies[0]: must be an address or a network such as 10.0.0.0/8 or fd00::/8 (it is "proxy")',
  ],
  [
    `${ISSUER}listen: { tls: { cert: /none.pem, key: /dev/null } }`,
    'listen.tls.cert: the file /none.pem cannot be read (ENOENT) (it is "/none.pem")',
  ],
  [`${ISSUER}workers: two`, 'workers: must be a number (it is "two")'],
  [`${ISSUER}workers: 0`, 'workers: must be at least 1 (it is 0)'],
  [`${ISSUER}drain: { delay: 10m }`, 'drain.delay: must be a duration of at most 5m, or 0s for none (it is "10m")'],
  [
    `${ISSUER}stores: { grants: 'mysql://db' }`,
    'stores.grants: not a store URL: use sqlite:PATH, redis://HOST, redis+sentinel://H1,H2/NAME, redis+cluster://H1,H2 (rediss… for TLS) or postgres://USER:PASSWORD@H1,H2/DATABASE (it is "mysql://db")',
  ],
  [
    `${ISSUER}stores: { grants: 'redis://:hunter2@r' }`,
    'stores.grants: must not contain a user and password in this file; give the whole URL in LATCHKEY_STORE',
  ],
  [
    `${ISSUER}log: { level: inof }`,
    'log.level: must be one of trace, debug, info, warn, error, silent (did you mean info?) (it is "inof")',
  ],
  [
    `${ISSUER}tokens: { access_token: 15 }`,
    'tokens.access_token: must be a duration such as 90s, 15m, 1h or 14d (it is 15)',
  ],
  [`${ISSUER}tokens: { id_token: 4w }`, 'tokens.id_token: must be a duration such as 90s, 15m, 1h or 14d (it is "4w")'],
  [
    `${ISSUER}tokens: { authorization_code: 11m }`,
    'tokens.authorization_code: must be at most 10m (RFC 6749 §4.1.2) (it is "11m")',
  ],
  [
    `${ISSUER}sessions: { remembered: 1h }`,
    'sessions.remembered: must not be shorter than sessions.default (it is "1h")',
  ],
  [`${ISSUER}passwords: { min_length: 7 }`, 'passwords.min_length: must be at least 8 (it is 7)'],
  [`${ISSUER}sign_up: { enabled: maybe }`, 'sign_up.enabled: must be true or false (it is "maybe")'],
  [
    `${ISSUER}keys: { algorithms: [ES265] }`,
    'keys.algorithms[0]: must be one of ES256, RS256, PS256, EdDSA, ML-DSA-44, ML-DSA-65, ML-DSA-87 (did you mean ES256?) (it is "ES265")',
  ],
  [`${ISSUER}workers: 1\nworkers: 2`, 'workers is written twice in one mapping, first on line 2; keep one'],
  [`${ISSUER}sign_up: &a { roles: *a }`, 'is an alias (*) inside its own anchor (&): write the value out'],
  [`${ISSUER}sign_up: *a`, 'is an alias (*) without an earlier anchor (&)'],
  [`${ISSUER}\tworkers: 1`, 'is indented with a tab; YAML allows only spaces'],
  [
    client('type: sap'),
    'clients[0].type: client "app": must be one of spa, web, machine (did you mean spa?) (it is "sap")',
  ],
  [
    client('type: spb'),
    'clients[0].type: client "app": must be one of spa, web, machine (did you mean spa?) (it is "spb")',
  ],
  [client('type: spa'), 'clients[0].redirect_uris: client "app": needs at least one address for type spa'],
  [
    client("type: spa, redirect_uris: ['http://app.example.com/']"),
    'clients[0].redirect_uris[0]: client "app": must be https: http is for loopback addresses only (it is "http://app.example.com/")',
  ],
  [
    client("type: spa, redirect_uris: ['https://*.example.com/']"),
    'clients[0].redirect_uris[0]: client "app": must not have a wildcard; list every address (it is "https://*.example.com/")',
  ],
  [spa('redirect_uri: x'), 'clients[0].redirect_uri: client "app": is not a setting (did you mean redirect_uris?)'],
  [
    spa('client_secret: hunter2'),
    'clients[0].client_secret: client "app": is not a setting: write secret: { file: PATH } or { env: NAME }',
  ],
  [
    spa('scopes: [opnid]'),
    'clients[0].scopes[0]: client "app": is not a scope of any of its resources (did you mean openid?); their scopes are openid, profile, email, roles, offline_access (it is "opnid")',
  ],
  [
    spa("scopes: ['a:write'], resources: ['https://api.example.com']"),
    'clients[0].scopes[0]: client "app": is not a scope of any of its resources; their scopes are openid, profile, email, roles, offline_access, a:read (it is "a:write")',
  ],
  [
    spa("resources: ['https://api.example.com/']"),
    'clients[0].resources[0]: client "app": is not under resources (did you mean https://api.example.com?) (it is "https://api.example.com/")',
  ],
  [
    spa('allowed_origins: [https://a.example/]'),
    'clients[0].allowed_origins[0]: client "app": must be an origin: scheme, host and port, with no path and no slash at the end (it is "https://a.example/")',
  ],
  [
    spa('secret: { env: SECRET }'),
    'clients[0].secret: client "app": a client of type spa cannot keep a secret: remove it, or make the type web',
  ],
  [
    web('previous_secret: { env: NONE }'),
    'clients[0].previous_secret: client "app": the environment variable NONE is not set',
  ],
  [
    web('previous_secret: { file: /none }'),
    'clients[0].previous_secret: client "app": the file /none cannot be read (ENOENT); create it: latchkey secret new --file /none',
  ],
  [
    web('previous_secret: hunter2'),
    'clients[0].previous_secret: client "app": a secret may not stand in this file; write { file: PATH } or { env: NAME }',
  ],
  [
    web('previous_secret: { env: SHORT }'),
    'clients[0].previous_secret: client "app": can be guessed: it has at most 14 bits of entropy instead of 128; generate one with latchkey secret new',
  ],
  [
    `${ISSUER}accounts: [{ email: ann, name: Ann, password: { env: SECRET } }]`,
    'accounts[0].email: must be an email address (it is "ann")',
  ],
  [
    `${ISSUER}passwords: { min_length: 8 }\naccounts: [{ email: a@example.com, name: Ann, password: { env: DEMO } }]`,
    'accounts[0].password: is the password of the demo, which everybody knows; choose another',
  ],
  [
    `${ISSUER}accounts: [{ email: a@example.com, name: Ann, password: { env: SECRET }, roles: [Admin] }]`,
    'accounts[0].roles[0]: must consist of lower-case letters, digits, _ and - (it is "Admin")',
  ],
];

describe('The report about a wrong configuration', () => {
  for (const [text, line] of WRONG) {
    it(`The configuration report names path, value and fix: ${line}`, () => {
      const { problems } = refusal(() => parse(text, { environment: LONG }));
      const lines = problems.map((problem) =>
        describeProblems('', [problem])
          .trim()
          .replace(/^:\d+ +/, ''),
      );
      assert.ok(lines.includes(line), lines.join('\n'));
      assert.ok(!lines.join('').includes('hunter2'));
    });
  }

  it('The table has at least fifty reports', () => {
    assert.ok(WRONG.length >= 50);
  });
});
