import assert from 'node:assert/strict';
import { createSecretKey, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { issuerSchema } from '../../../src/config/sections/issuer-schema.ts';
import { CHECKS } from '../../../src/grants/jwt-bearer/checks.ts';
import { openIssuers } from '../../../src/issuers/issuers.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { openStore } from '../../../src/storage/open-store.ts';
import { encode, foreignIssuer, JWT_BEARER, newKeys, now, signature, type ForeignIssuer } from './foreign-issuer.ts';
import { startJudge, type Judge } from './judge.ts';
import { accountsOn } from '../../support/domain.ts';

const API = 'https://api.example.com';
const OTHER_API = 'https://other.example.com';
const SECRETS = { SECRET: 'the-secret-of-the-partner-and-of-no-other', PASSWORD: 'a-password-that-is-long-enough' };

/** The issuers of the table; each has what its assertions need. */
interface Partners {
  here: string;
  /** Its people are accounts here: by a link, or by a verified address. */
  partner: ForeignIssuer;
  /** The partner's second key, of another kind. */
  rsa: ForeignIssuer;
  /** A key of the partner's for encryption, and one of a weak kind. */
  encryption: ForeignIssuer;
  weak: ForeignIssuer;
  /** An issuer of the store, with an RSA key of 1024 bits. */
  short: ForeignIssuer;
  shortKeys: { privateKey: KeyObject; publicKey: KeyObject };
  /** Makes accounts for its people. */
  idp: ForeignIssuer;
  ci: ForeignIssuer;
  gone: ForeignIssuer;
  stranger: ForeignIssuer;
}

function partnersOf(here: string): Partners {
  const partner = foreignIssuer('https://partner.example/realm', here);
  return {
    here,
    partner,
    rsa: foreignIssuer(partner.issuer, here, 'RS256'),
    encryption: foreignIssuer(partner.issuer, here),
    weak: foreignIssuer(partner.issuer, here),
    short: foreignIssuer('https://short.example', here, 'RS256'),
    shortKeys: generateKeyPairSync('rsa', { modulusLength: 1024 }),
    idp: foreignIssuer('https://idp.example', here),
    ci: foreignIssuer('https://ci.example', here),
    gone: foreignIssuer('https://gone.example', here),
    stranger: foreignIssuer('https://stranger.example', here),
  };
}

function settings({ partner, rsa, encryption, weak, idp, ci, gone }: Partners): object {
  const common = { clients: ['partner', 'bare'], resources: [API], scopes: ['orders:read'], algorithms: ['ES256'] };
  const links = { 'their-alice': 'alice@example.com', 'their-bob': 'bob@example.com' };
  const client = {
    client_name: 'A client',
    type: 'machine',
    secret: { env: 'SECRET' },
    grant_types: [JWT_BEARER],
    scopes: ['orders:read', 'orders:refund'],
    resources: [API, OTHER_API],
    default_resource: API,
  };
  const person = { name: 'Somebody', password: { env: 'PASSWORD' } };
  const jwks = (...keys: object[]) => ({ jwks: { keys } });
  return {
    sign_up: { enabled: false },
    outgoing: { allow: ['127.0.0.1'] },
    resources: [
      {
        identifier: API,
        name: 'API',
        scopes: { 'orders:read': { description: 'Read' }, 'orders:refund': { description: 'Refund' } },
      },
      { identifier: OTHER_API, name: 'Other API' },
    ],
    clients: [
      { ...client, client_id: 'partner' },
      { ...client, client_id: 'another' },
      { ...client, client_id: 'bare', secret: undefined, token_endpoint_auth_method: 'none' },
      { ...client, client_id: 'ungranted', grant_types: ['client_credentials'] },
    ],
    accounts: [
      { ...person, email: 'alice@example.com' },
      { ...person, email: 'bob@example.com' },
    ],
    trusted_issuers: [
      {
        ...common,
        issuer: partner.issuer,
        algorithms: ['ES256', 'RS256'],
        subject: { is: 'account', match_email: true, links },
        ...jwks(
          partner.jwk,
          rsa.jwk,
          { ...encryption.jwk, kid: 'for-encryption', use: 'enc' },
          { ...weak.jwk, kid: 'twice' },
          { ...encryption.jwk, kid: 'twice' },
        ),
      },
      {
        ...common,
        issuer: idp.issuer,
        token_types: ['oauth-id-jag+jwt'],
        subject: { is: 'new_account', links },
        ...jwks(idp.jwk),
      },
      {
        ...common,
        issuer: ci.issuer,
        subject: { is: 'service' },
        claims: { repository: ['acme/shop'] },
        ...jwks(ci.jwk),
      },
      { ...common, issuer: gone.issuer, subject: { is: 'account' }, jwks_uri: 'http://127.0.0.1:9/jwks' },
    ],
  };
}

type Parameters = Record<string, string>;
/** The reason of the refusal, the assertion, and what else the request has. */
type Row = [reason: string, make: (partners: Partners) => string, more?: Parameters, basic?: string];

/** An ID-JAG of the identity provider's, good but for what is given. */
const idJag = ({ idp }: Partners, claims: object = {}, header: object = {}): string =>
  idp.assertion(
    { client_id: 'partner', resource: API, scope: 'orders:read', ...claims },
    { typ: 'oauth-id-jag+jwt', ...header },
  );
const ciToken = ({ ci }: Partners, claims: object = {}): string => ci.assertion({ repository: 'acme/shop', ...claims });
const withSignature = (token: string, change: (signature: string) => string): string => {
  const [header, claims, given = ''] = token.split('.');
  return `${header}.${claims}.${change(given)}`;
};
const claimsText = (issuer: ForeignIssuer, more: string): string =>
  `${JSON.stringify(issuer.claims()).slice(0, -1)},${more}}`;

const ROWS: Record<string, Row> = {
  // What the text is.
  'is larger than any token': ['too_long', ({ partner }) => partner.assertion({ padding: 'x'.repeat(20_000) })],
  'is encrypted': ['encrypted', ({ partner }) => `${encode(partner.header())}.a.b.c.d`],
  'is no token at all': ['not_a_jwt', () => 'open sesame'],
  'has two parts': ['not_a_jwt', ({ partner }) => partner.assertion().split('.').slice(0, 2).join('.')],
  'has a fourth part': ['not_a_jwt', ({ partner }) => `${partner.assertion()}.AAAA`],
  'is JSON serialized': [
    'not_a_jwt',
    ({ partner }) => {
      const [header, payload, given] = partner.assertion().split('.');
      return JSON.stringify({ payload, signatures: [{ protected: header, signature: given }] });
    },
  ],
  'begins with a space': ['not_base64url', ({ partner }) => ` ${partner.assertion()}`],
  'ends with a line break': ['not_base64url', ({ partner }) => `${partner.assertion()}\n`],
  'ends with a zero byte': ['not_base64url', ({ partner }) => `${partner.assertion()}\0`],
  'has a line break inside': ['not_base64url', ({ partner }) => partner.assertion().replace('.', '.\r\n')],
  'has a padded signature': ['not_base64url', ({ partner }) => `${partner.assertion()}==`],
  'has a padded header': ['not_base64url', ({ partner }) => partner.assertion().replace('.', '=.')],
  'has base64 instead of base64url': [
    'not_base64url',
    ({ partner }) => withSignature(partner.assertion(), (given) => `${given.slice(0, -2)}+/`),
  ],
  'has stray bits at the end of its signature': [
    'not_base64url',
    ({ partner }) => withSignature(partner.assertion(), withStrayBits),
  ],
  'has a header that is a list': [
    'header_unreadable',
    ({ partner }) => partner.raw('["alg","ES256"]', partner.claims()),
  ],
  'has a header that is no JSON': ['header_unreadable', ({ partner }) => partner.raw('{alg:ES256}', partner.claims())],
  'has an empty header': ['header_unreadable', ({ partner }) => partner.raw('', partner.claims())],
  'has a header with a byte order mark': [
    'header_unreadable',
    ({ partner }) => partner.raw(`\uFEFF${JSON.stringify(partner.header())}`, partner.claims()),
  ],
  'has alg twice': [
    'header_repeats_name',
    ({ partner }) => partner.raw(`{"alg":"none",${JSON.stringify(partner.header()).slice(1)}`, partner.claims()),
  ],
  'has alg twice, once in an escaped spelling': [
    'header_repeats_name',
    ({ partner }) => partner.raw(`{"\\u0061lg":"none",${JSON.stringify(partner.header()).slice(1)}`, partner.claims()),
  ],
  'demands an extension': ['critical_header', ({ partner }) => partner.assertion({}, { crit: ['exp'], exp: 1 })],
  'has an empty list of extensions': ['critical_header', ({ partner }) => partner.assertion({}, { crit: [] })],
  'demands an unencoded payload': [
    'critical_header',
    ({ partner }) => partner.assertion({}, { crit: ['b64'], b64: false }),
  ],
  'has an unencoded payload and no critical header': [
    'unencoded_payload',
    ({ partner }) => partner.assertion({}, { b64: false }),
  ],
  'contains its own key': [
    'key_in_header',
    ({ partner, stranger }) => partner.assertion({}, { jwk: stranger.jwk, kid: undefined }, stranger.privateKey),
  ],
  'says where its key is': [
    'key_in_header',
    ({ partner, stranger }) => partner.assertion({}, { jku: 'https://stranger.example/jwks' }, stranger.privateKey),
  ],
  'says where its certificate is': [
    'key_in_header',
    ({ partner }) => partner.assertion({}, { x5u: 'http://169.254.169.254/' }),
  ],
  'contains its own certificate': ['key_in_header', ({ partner }) => partner.assertion({}, { x5c: ['MIIB'] })],
  'contains another token': [
    'nested',
    ({ partner }) => partner.raw(partner.header({ cty: 'JWT' }), partner.assertion()),
  ],
  'contains another token without the cty header': [
    'claims_unreadable',
    ({ partner }) => partner.raw(partner.header(), partner.assertion()),
  ],
  'has the algorithm none': ['unsigned', ({ partner }) => `${encode({ alg: 'none' })}.${encode(partner.claims())}.`],
  'has the algorithm none in mixed case': ['unsigned', ({ partner }) => partner.assertion({}, { alg: 'NoNe' })],
  'has lost its signature': ['unsigned', ({ partner }) => withSignature(partner.assertion(), () => '')],
  'names no algorithm': ['unsigned', ({ partner }) => partner.assertion({}, { alg: undefined })],
  'names a list of algorithms': ['unsigned', ({ partner }) => partner.assertion({}, { alg: ['ES256'] })],
  'is signed with the public key as if it were a secret': [
    'symmetric',
    ({ rsa }) => {
      const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
      return rsa.assertion({}, { alg: 'HS256' }, createSecretKey(Buffer.from(pem)));
    },
  ],
  'is signed with the published key as if it were a secret': [
    'symmetric',
    ({ partner }) => partner.assertion({}, { alg: 'HS512' }, createSecretKey(Buffer.from(JSON.stringify(partner.jwk)))),
  ],
  'has claims that are a text': ['claims_unreadable', ({ partner }) => partner.raw(partner.header(), '"alice"')],
  'has claims that are null': ['claims_unreadable', ({ partner }) => partner.raw(partner.header(), 'null')],
  'has claims that are no UTF-8': [
    'claims_unreadable',
    ({ partner }) => {
      const claims = Buffer.concat([Buffer.from('{"iss":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]);
      const signed = `${encode(partner.header())}.${claims.toString('base64url')}`;
      return `${signed}.${signature(signed, partner.privateKey)}`;
    },
  ],
  'has sub twice': [
    'claims_repeat_name',
    ({ partner }) => partner.raw(partner.header(), claimsText(partner, '"sub":"their-bob"')),
  ],
  'has a name twice deep inside': [
    'claims_repeat_name',
    ({ partner }) => partner.raw(partner.header(), claimsText(partner, '"address":[{"a":{"b":1,"b":2}}]')),
  ],

  // Whose it is.
  'names no issuer': ['issuer_missing', ({ partner }) => partner.assertion({ iss: undefined })],
  'names a list of issuers': ['issuer_missing', ({ partner }) => partner.assertion({ iss: [partner.issuer] })],
  'has an unknown issuer': ['issuer_unknown', ({ stranger }) => stranger.assertion()],
  'names this server as its issuer': ['issuer_unknown', ({ partner, here }) => partner.assertion({ iss: here })],
  'spells its issuer with a slash at the end': [
    'issuer_unknown',
    ({ partner }) => partner.assertion({ iss: `${partner.issuer}/` }),
  ],
  'spells its issuer with a capital': [
    'issuer_unknown',
    ({ partner }) => partner.assertion({ iss: 'https://Partner.example/realm' }),
  ],
  'spells its issuer with a port': [
    'issuer_unknown',
    ({ partner }) => partner.assertion({ iss: 'https://partner.example:443/realm' }),
  ],
  'names a JavaScript property as its issuer': [
    'issuer_unknown',
    ({ partner }) => partner.assertion({ iss: '__proto__' }),
  ],
  'is an access token': ['type_not_accepted', ({ partner }) => partner.assertion({}, { typ: 'at+jwt' })],
  'is a logout token': ['type_not_accepted', ({ partner }) => partner.assertion({}, { typ: 'logout+jwt' })],
  'is a DPoP proof': ['type_not_accepted', ({ partner }) => partner.assertion({}, { typ: 'application/dpop+jwt' })],
  'has a type that is no text': ['type_not_accepted', ({ partner }) => partner.assertion({}, { typ: ['JWT'] })],
  'is an ID-JAG of an issuer that may not issue one': [
    'type_not_accepted',
    ({ partner }) => partner.assertion({}, { typ: 'oauth-id-jag+jwt' }),
  ],
  'is plain although the issuer must send an ID-JAG': [
    'type_not_accepted',
    (partners) => idJag(partners, {}, { typ: 'JWT' }),
  ],
  'has an algorithm that the issuer does not use': [
    'algorithm_not_accepted',
    ({ rsa }) => rsa.assertion({}, { alg: 'PS256' }),
  ],
  'names an unknown algorithm': ['algorithm_not_accepted', ({ partner }) => partner.assertion({}, { alg: 'XX' })],
  'names its algorithm in small letters': [
    'algorithm_not_accepted',
    ({ partner }) => partner.assertion({}, { alg: 'es256' }),
  ],
  'has a kid that is a number': ['kid_malformed', ({ partner }) => partner.assertion({}, { kid: 1 })],
  'has a huge kid': ['kid_malformed', ({ partner }) => partner.assertion({}, { kid: 'k'.repeat(5000) })],
  'has an empty kid': ['kid_malformed', ({ partner }) => partner.assertion({}, { kid: '' })],
  'has a kid with a zero byte': ['kid_malformed', ({ partner }) => partner.assertion({}, { kid: 'a\0b' })],
  'has an issuer whose keys are unavailable': ['keys_unavailable', ({ gone }) => gone.assertion()],
  'names a file as its key': ['key_unknown', ({ partner }) => partner.assertion({}, { kid: '../../../../dev/null' })],
  'has SQL for a kid': ['key_unknown', ({ partner }) => partner.assertion({}, { kid: "x' UNION SELECT 'secret' --" })],
  'has a URL for a kid': [
    'key_unknown',
    ({ partner }) => partner.assertion({}, { kid: 'http://169.254.169.254/latest' }),
  ],
  'has a command for a kid': ['key_unknown', ({ partner }) => partner.assertion({}, { kid: '|/usr/bin/id' })],
  'has a kid of another issuer': ['key_unknown', ({ partner, ci }) => partner.assertion({}, { kid: ci.jwk['kid'] })],
  'is signed by a key that is too weak': [
    'key_weak',
    ({ short, shortKeys }) => short.assertion({}, { kid: 'short' }, shortKeys.privateKey),
  ],
  'names a kid that two keys share': ['key_ambiguous', ({ partner }) => partner.assertion({}, { kid: 'twice' })],
  'names an RSA key for an elliptic signature': [
    'key_unfit',
    ({ partner, rsa }) => partner.assertion({}, { kid: rsa.jwk['kid'] }),
  ],
  'names an elliptic key for an RSA signature': [
    'key_unfit',
    ({ partner, rsa }) => rsa.assertion({}, { kid: partner.jwk['kid'] }),
  ],
  'names a key for encryption': ['key_unfit', ({ encryption }) => encryption.assertion({}, { kid: 'for-encryption' })],
  'is signed by a stranger': [
    'signature_wrong',
    ({ partner, stranger }) => partner.assertion({}, {}, stranger.privateKey),
  ],
  'is signed by another trusted issuer': [
    'signature_wrong',
    ({ partner, ci }) => partner.assertion({}, {}, ci.privateKey),
  ],
  'was changed after it was signed': [
    'signature_wrong',
    ({ partner }) => {
      const [header, , given] = partner.assertion().split('.');
      return `${header}.${encode(partner.claims({ sub: 'their-bob' }))}.${given}`;
    },
  ],
  'has a header that was changed after it was signed': [
    'signature_wrong',
    ({ partner }) => `${encode(partner.header({ x: 1 }))}.${partner.assertion().split('.').slice(1).join('.')}`,
  ],
  'has a signature that is too short': [
    'signature_wrong',
    ({ partner }) => withSignature(partner.assertion(), (given) => given.slice(0, 40)),
  ],
  'has a signature that is too long': [
    'signature_wrong',
    ({ partner }) =>
      withSignature(partner.assertion(), (given) =>
        Buffer.concat([Buffer.from(given, 'base64url'), Buffer.alloc(2)]).toString('base64url'),
      ),
  ],
  'has a signature of zeros': [
    'signature_wrong',
    ({ partner }) => withSignature(partner.assertion(), () => Buffer.alloc(64).toString('base64url')),
  ],
  'has its signature in DER': [
    'signature_wrong',
    ({ partner }) => {
      const [header, claims] = partner.assertion().split('.');
      const der = sign('sha256', Buffer.from(`${header}.${claims}`), partner.privateKey);
      return `${header}.${claims}.${der.toString('base64url')}`;
    },
  ],
  'has no kid and is signed by an unknown key': [
    'key_ambiguous',
    ({ partner }) => partner.assertion({}, { kid: undefined }, newKeys('ES256').privateKey),
  ],

  // Whom it is for, and when.
  'has no audience': ['audience_missing', ({ partner }) => partner.assertion({ aud: undefined })],
  'has an empty list of audiences': ['audience_missing', ({ partner }) => partner.assertion({ aud: [] })],
  'has a number for an audience': ['audience_missing', ({ partner }) => partner.assertion({ aud: 1 })],
  'is for this server and another one': [
    'audience_several',
    ({ partner, here }) => partner.assertion({ aud: [here, 'https://elsewhere.example'] }),
  ],
  'is for this server twice': ['audience_several', ({ partner, here }) => partner.assertion({ aud: [here, here] })],
  'is for another server': [
    'audience_foreign',
    ({ partner }) => partner.assertion({ aud: 'https://elsewhere.example' }),
  ],
  'is for the token endpoint': ['audience_foreign', ({ partner, here }) => partner.assertion({ aud: `${here}/token` })],
  'is for this server with a slash at the end': [
    'audience_foreign',
    ({ partner, here }) => partner.assertion({ aud: `${here}/` }),
  ],
  'is for the client': ['audience_foreign', ({ partner }) => partner.assertion({ aud: 'partner' })],
  'is for the API': ['audience_foreign', ({ partner }) => partner.assertion({ aud: [API] })],
  'never expires': ['expiry_missing', ({ partner }) => partner.assertion({ exp: undefined })],
  'has a text for an expiry': ['expiry_missing', ({ partner }) => partner.assertion({ exp: String(now() + 60) })],
  'expires at infinity': [
    'expiry_missing',
    ({ partner }) =>
      partner.raw(
        partner.header(),
        claimsText({ ...partner, claims: () => partner.claims({ exp: undefined }) }, '"exp":1e999'),
      ),
  ],
  'has expired': ['expired', ({ partner }) => partner.assertion({ iat: now() - 400, exp: now() - 100 })],
  'expired before 1970': ['expired', ({ partner }) => partner.assertion({ exp: -1 })],
  'has a text for a not-before time': ['not_before_malformed', ({ partner }) => partner.assertion({ nbf: 'now' })],
  'is not valid yet': ['not_yet_valid', ({ partner }) => partner.assertion({ nbf: now() + 200 })],
  'has a text for a time of issue': ['issued_at_malformed', ({ partner }) => partner.assertion({ iat: '1' })],
  'is an ID-JAG without a time of issue': ['issued_at_malformed', (partners) => idJag(partners, { iat: undefined })],
  'was issued in the future': ['issued_in_future', ({ partner }) => partner.assertion({ iat: now() + 200 })],
  'lives for a year': ['lifetime_too_long', ({ partner }) => partner.assertion({ exp: now() + 31_536_000 })],
  'lives for a year and has no time of issue': [
    'lifetime_too_long',
    ({ partner }) => partner.assertion({ iat: undefined, exp: now() + 31_536_000 }),
  ],
  'has lived for a year': ['lifetime_too_long', ({ partner }) => partner.assertion({ iat: now() - 31_536_000 })],
  'has no jti': ['jti_missing', ({ partner }) => partner.assertion({ jti: undefined })],
  'has an empty jti': ['jti_missing', ({ partner }) => partner.assertion({ jti: '' })],
  'has a number for a jti': ['jti_missing', ({ partner }) => partner.assertion({ jti: 7 })],
  'has an oversized jti': ['jti_missing', ({ partner }) => partner.assertion({ jti: 'j'.repeat(4000) })],

  // What it is worth.
  'has no subject': ['subject_missing', ({ partner }) => partner.assertion({ sub: undefined })],
  'has an empty subject': ['subject_missing', ({ partner }) => partner.assertion({ sub: '' })],
  'has a list of subjects': ['subject_missing', ({ partner }) => partner.assertion({ sub: ['their-alice'] })],
  'has an oversized subject': ['subject_missing', ({ partner }) => partner.assertion({ sub: 'a'.repeat(600) })],
  'has a subject with a line break': ['subject_missing', ({ partner }) => partner.assertion({ sub: 'a\nb' })],
  'names another repository': ['claim_not_accepted', (partners) => ciToken(partners, { repository: 'mallory/shop' })],
  'names no repository': ['claim_not_accepted', (partners) => ciToken(partners, { repository: undefined })],
  'names a list of repositories': [
    'claim_not_accepted',
    (partners) => ciToken(partners, { repository: ['acme/shop'] }),
  ],
  'comes from a client outside the policy of the issuer': [
    'client_not_allowed',
    ({ partner }) => partner.assertion(),
    {},
    `another:${SECRETS.SECRET}`,
  ],
  'is an ID-JAG from a client that does not authenticate': [
    'client_not_proved',
    (partners) => idJag(partners, { client_id: 'bare' }),
    { client_id: 'bare' },
    '',
  ],
  'is an ID-JAG for another client': ['client_mismatch', (partners) => idJag(partners, { client_id: 'another' })],
  'is an ID-JAG for no client': ['client_mismatch', (partners) => idJag(partners, { client_id: undefined })],
  'is bound to a key that the sender does not show': [
    'key_not_proved',
    ({ partner }) => partner.assertion({ cnf: { jkt: 'x'.repeat(43) } }),
  ],
  'is bound to something that is not understood': [
    'key_not_proved',
    ({ partner }) => partner.assertion({ cnf: 'key' }),
  ],
  'is an ID-JAG for two APIs, and the client does not say which': [
    'resource_missing',
    (partners) => idJag(partners, { resource: [API, OTHER_API] }),
  ],
  'comes with an API that the ID-JAG is not for': [
    'resource_not_granted',
    (partners) => idJag(partners),
    { resource: OTHER_API },
  ],
  'comes with an API outside the policy of the issuer': [
    'resource_not_allowed',
    ({ partner }) => partner.assertion(),
    { resource: OTHER_API },
  ],
  'is an ID-JAG for an API outside the policy of the issuer': [
    'resource_not_allowed',
    (partners) => idJag(partners, { resource: OTHER_API }),
  ],
  'comes with a scope that the ID-JAG does not have': [
    'scope_not_granted',
    (partners) => idJag(partners),
    { scope: 'orders:read orders:refund' },
  ],
  'comes with a scope outside the policy of the issuer': [
    'scope_not_allowed',
    ({ partner }) => partner.assertion(),
    { scope: 'orders:refund' },
  ],
  'is an ID-JAG with a scope outside the policy of the issuer': [
    'scope_not_allowed',
    (partners) => idJag(partners, { scope: 'orders:read orders:refund' }),
  ],
  'comes with the openid scope': ['scope_not_allowed', ({ partner }) => partner.assertion(), { scope: 'openid' }],

  // Who it becomes.
  'has an address that nobody verified': [
    'email_unverified',
    ({ partner }) => partner.assertion({ sub: 'new', email: 'alice@example.com' }),
  ],
  'has an address that is expressly not verified': [
    'email_unverified',
    ({ partner }) => partner.assertion({ sub: 'new', email: 'alice@example.com', email_verified: false }),
  ],
  'has an address whose verification is a text': [
    'email_unverified',
    ({ partner }) => partner.assertion({ sub: 'new', email: 'alice@example.com', email_verified: 'true' }),
  ],
  'has a list of addresses': [
    'email_unverified',
    ({ partner }) => partner.assertion({ sub: 'new', email: ['alice@example.com'], email_verified: true }),
  ],
  'would create a second account with an address': [
    'email_taken',
    (partners) => idJag(partners, { sub: 'new', email: 'alice@example.com', email_verified: true }),
  ],
  'has a subject without an account': [
    'account_unknown',
    ({ partner }) => partner.assertion({ sub: 'new', email: 'carol@example.com', email_verified: true }),
  ],
  'has a JavaScript property as its subject': [
    'email_unverified',
    ({ partner }) => partner.assertion({ sub: 'constructor' }),
  ],
  'has the address of an account that a stranger signed up': [
    'account_unverified',
    ({ partner }) => partner.assertion({ sub: 'new', email: 'dave@example.com', email_verified: true }),
  ],
  'has a subject whose account is disabled': [
    'account_disabled',
    ({ partner }) => partner.assertion({ sub: 'their-bob' }),
  ],
  'has the address of a disabled account': [
    'account_disabled',
    ({ partner }) => partner.assertion({ sub: 'new', email: 'bob@example.com', email_verified: true }),
  ],
};

/** The last character of 64 bytes in base64url holds two bits; the others may be set unseen. */
function withStrayBits(given: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return `${given.slice(0, -1)}${alphabet[alphabet.indexOf(given.at(-1) ?? 'A') + 1] ?? ''}`;
}

describe('Hostile assertions for the JWT bearer grant', function () {
  this.timeout(60_000);
  let partners: Partners;
  let server: Judge;

  before(async () => {
    server = await startJudge((issuer) => {
      partners = partnersOf(issuer);
      return Promise.resolve(settings(partners));
    }, SECRETS);
    const records = await openStore(server.store, systemClock);
    const accounts = accountsOn(records, server.keys);
    const bob = await accounts.findByEmail('bob@example.com');
    assert.ok(bob !== undefined);
    await accounts.disable(bob.id);
    await accounts.create({ email: 'dave@example.com', name: 'Dave', roles: ['user'], origin: 'sign-up' });
    // Stored before the server looked at keys.
    await openIssuers({ records, configured: [] }).save({
      ...issuerSchema.parse({
        issuer: partners.short.issuer,
        algorithms: ['RS256'],
        subject: { is: 'account' },
        jwks: { keys: [partners.short.jwk] },
        ...{ clients: ['partner'], resources: [API] },
      }),
      jwks: { keys: [{ ...partners.shortKeys.publicKey.export({ format: 'jwk' }), kty: 'RSA', kid: 'short' }] },
    });
    await records.close();
  });
  after(() => server.close());

  const refused = async (assertion: string, reason: string, more?: Parameters, basic?: string): Promise<void> => {
    const verdict = await server.judge({ assertion, ...more }, basic);
    assert.deepEqual([verdict.reason, verdict.status, verdict.body['error']], [reason, 400, 'invalid_grant']);
    const described = reason.startsWith('audience_')
      ? `the audience (aud) of the assertion must be ${partners.here} and nothing else`
      : 'grant request is invalid';
    assert.equal(verdict.body['error_description'], described);
  };

  for (const [what, [reason, make, more, basic]] of Object.entries(ROWS)) {
    it(`The JWT bearer grant refuses an assertion that ${what}: ${reason}`, () =>
      refused(make(partners), reason, more, basic));
  }

  it('The JWT bearer grant refuses an assertion that was used before: replayed', async () => {
    const assertion = partners.partner.assertion();
    assert.equal((await server.judge({ assertion })).status, 200);
    await refused(assertion, 'replayed');
    const jti = randomUUID();
    assert.equal((await server.judge({ assertion: partners.partner.assertion({ jti }) })).status, 200);
    await refused(partners.partner.assertion({ jti, sub: 'their-alice', exp: now() + 200 }), 'replayed');
  });

  it('The JWT bearer grant refuses a used assertion that has expired within the clock tolerance: replayed', async () => {
    const assertion = partners.partner.assertion({ iat: now() - 100, exp: now() - 5 });
    assert.equal((await server.judge({ assertion })).status, 200);
    // Longer than the store keeps the shortest-lived record.
    await sleep(1500);
    await refused(assertion, 'replayed');
  });

  it('The JWT bearer grant accepts a good assertion of each issuer, so only the faults above were refused', async () => {
    const good = [partners.partner.assertion(), partners.rsa.assertion(), idJag(partners), ciToken(partners)];
    for (const assertion of good) {
      const { status, body } = await server.judge({ assertion, scope: 'orders:read' });
      assert.deepEqual(
        [status, body['scope'], body['refresh_token'], body['id_token']],
        [200, 'orders:read', undefined, undefined],
      );
    }
  });

  it('The JWT bearer grant refuses an unregistered client before it uses up the assertion', async () => {
    const assertion = partners.partner.assertion();
    const { status, body } = await server.judge({ assertion }, `ungranted:${SECRETS.SECRET}`);
    assert.deepEqual([status, body['error']], [400, 'unauthorized_client']);
    assert.equal((await server.judge({ assertion })).status, 200);
  });

  it('The JWT bearer grant answers a request without an assertion with invalid_request', async () => {
    const { status, body } = await server.judge({});
    assert.deepEqual([status, body['error']], [400, 'invalid_request']);
  });

  it('The table has a row for every check of the JWT bearer grant', () => {
    const tested = new Set(['replayed', ...Object.values(ROWS).map(([reason]) => reason)]);
    assert.deepEqual(
      CHECKS.map(({ reason }) => reason).filter((reason) => !tested.has(reason)),
      [],
    );
  });
});
