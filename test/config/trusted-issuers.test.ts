import assert from 'node:assert/strict';
import { parse, problemsOf } from './problems-of.ts';

const JWK = {
  kty: 'EC',
  crv: 'P-256',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
};
const API = 'https://api.example.com';

const ISSUER = {
  issuer: 'https://partner.example/realm/',
  jwks: { keys: [JWK] },
  subject: { is: 'account' },
  clients: ['portal'],
  resources: [API],
};

/** A configuration with these trusted issuers; JSON is YAML too. */
function configWith(issuers: object[], more: object = {}): string {
  return JSON.stringify({
    issuer: 'https://login.example.com',
    resources: [{ identifier: API, name: 'API', scopes: { 'orders:read': { description: 'Read' } } }],
    trusted_issuers: issuers,
    ...more,
  });
}

const OPEN = { sign_up: { enabled: true } };

/** What is wrong with an issuer that differs from a good one in this, after its place. */
function faultsOf(changed: object, more?: object): string[] {
  return problemsOf(configWith([{ ...ISSUER, ...changed }], more)).map((problem) =>
    problem.replace(/^.*?trusted_issuers\[0\]\.?/, '').replace(/issuer "[^"]*": /, ''),
  );
}

describe('Trusted issuers in the configuration', () => {
  it('A trusted issuer needs only keys, a subject, clients and resources', () => {
    const [issuer] = parse(configWith([ISSUER])).config.trusted_issuers;
    assert.deepEqual(issuer, {
      ...ISSUER,
      algorithms: ['ES256', 'RS256'],
      token_types: ['JWT'],
      claims: {},
      subject: { is: 'account', claim: 'sub', match_email: false, links: {}, roles: ['user'] },
      scopes: [],
      max_lifetime: 600,
      clock_skew: 60,
    });
  });

  const faults: Record<string, [changed: object, problems: string[], more?: object]> = {
    'is this server itself': [{ issuer: 'https://login.example.com' }, ['issuer: must not be this server']],
    'is not a URL': [{ issuer: 'partner' }, ['issuer: must be an absolute https URL']],
    'has a plain http URL': [
      { issuer: 'http://partner.example' },
      ['issuer: must be https: http is for loopback addresses only'],
    ],
    'has a query': [{ issuer: 'https://partner.example?a' }, ['issuer: must not have a query or a fragment']],
    'has a password': [
      { issuer: 'https://me:you@partner.example' },
      ['issuer: must not contain a user name or a password'],
    ],
    'has no keys': [{ jwks: undefined }, ['jwks_uri: or jwks is required']],
    'has both jwks and jwks_uri': [
      { jwks_uri: 'https://partner.example/jwks' },
      ['jwks: must be left out if jwks_uri is set'],
    ],
    'has a private key': [
      { jwks: { keys: [{ ...JWK, d: 'x' }] } },
      ['jwks.keys[0]: must be a public key, and this one is private'],
    ],
    'has a key that is not on its curve': [
      { jwks: { keys: [{ ...JWK, x: JWK.y }] } },
      ['jwks.keys[0]: must be a complete public key, whose point is on its curve'],
    ],
    'has only encryption keys': [
      { jwks: { keys: [{ ...JWK, use: 'enc' }] } },
      ['jwks: needs a key that verifies signatures (use: sig)'],
    ],
    'has a secret for a key': [
      { jwks: { keys: [{ kty: 'oct', k: 'x' }] } },
      ['jwks.keys[0].kty: must be the kty of a public key: EC, RSA, OKP or AKP'],
    ],
    'signs with secrets': [
      { algorithms: ['HS256'] },
      [
        'algorithms[0]: must be one of ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512, EdDSA (did you mean ES256?)',
      ],
    ],
    'lists no client': [{ clients: [] }, ['clients: must be at least 1']],
    'allows lifetimes of days': [{ max_lifetime: '25h' }, ['max_lifetime: must be at most 24h']],
    'allows a clock skew of hours': [{ clock_skew: '1h' }, ['clock_skew: must be at most 5m']],
    'represents a service and has no claim conditions': [
      { subject: { is: 'service' } },
      [
        'claims: is required if subject.is is "service": otherwise everybody whom the issuer knows would be the service',
      ],
    ],
    'matches addresses that strangers can sign up with': [
      { subject: { is: 'account', match_email: true } },
      ['subject.match_email: must be false while sign_up.enabled lets strangers use any email address'],
      OPEN,
    ],
    'names an unknown API': [
      { resources: ['https://apy.example.com'] },
      [`resources[0]: is not under resources (did you mean ${API}?)`],
    ],
    'names a scope of no API': [
      { scopes: ['orders:reed'] },
      ['scopes[0]: is not a scope of any of its resources (did you mean orders:read?)'],
    ],
    'has an unknown setting': [
      { audience: 'x' },
      [
        'audience: is not a setting: the settings here are issuer, jwks, jwks_uri, algorithms, token_types, claims, subject, clients, resources, scopes, max_lifetime, clock_skew',
      ],
    ],
  };
  for (const [what, [changed, problems, more]] of Object.entries(faults)) {
    it(`A trusted issuer is refused if it ${what}`, () => assert.deepEqual(faultsOf(changed, more), problems));
  }

  it('A trusted issuer may match addresses if sign-up is disabled', () => {
    const { config } = parse(configWith([{ ...ISSUER, subject: { is: 'account', match_email: true } }]));
    assert.equal(config.trusted_issuers[0]?.subject.match_email, true);
  });

  it('A trusted issuer is listed only once, compared character by character', () => {
    const others = [{ ...ISSUER, issuer: 'https://partner.example/realm' }];
    assert.equal(parse(configWith([ISSUER, ...others])).config.trusted_issuers.length, 2);
    assert.match(
      problemsOf(configWith([ISSUER, ISSUER])).join(),
      /trusted_issuers\[1\]\.issuer: .*is already used as the issuer of trusted_issuers\[0\]/,
    );
  });
});

describe('A machine client without a secret', () => {
  const client = { client_id: 'job', client_name: 'Job', type: 'machine', token_endpoint_auth_method: 'none' };
  const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
  const problems = (changed: object): string[] => problemsOf(configWith([], { clients: [{ ...client, ...changed }] }));

  it('A machine client without a secret may only use the JWT bearer grant', () => {
    assert.equal(
      parse(configWith([], { clients: [{ ...client, grant_types: [JWT_BEARER] }] })).config.clients.length,
      1,
    );
    for (const grants of [undefined, [], [JWT_BEARER, 'client_credentials']])
      assert.match(
        problems({ grant_types: grants }).join(),
        /token_endpoint_auth_method: .*must not be none for type machine/,
      );
  });

  it('A machine client without a secret may not introspect tokens', () => {
    assert.match(
      problems({ grant_types: [JWT_BEARER], introspection: true }).join(),
      /introspection: .*must be left out for token_endpoint_auth_method none, which cannot authenticate/,
    );
  });
});
