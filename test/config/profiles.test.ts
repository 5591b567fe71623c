import assert from 'node:assert/strict';
import { parse, problemsOf } from './problems-of.ts';

const JWKS = 'jwks_uri: https://app.example.com/jwks';

/** A server of a profile with one web app, as the file would have it. */
function withApp(profile: string, settings: readonly string[], server: readonly string[] = []): string {
  return [
    'issuer: https://login.example.com',
    `profile: ${profile}`,
    ...server,
    'clients:',
    '  - client_id: app',
    '    client_name: App',
    '    type: web',
    '    redirect_uris: [https://app.example.com/callback]',
    ...settings.map((line) => `    ${line}`),
  ].join('\n');
}

const ES256 = 'keys: { algorithms: [ES256] }';
const SIGNED = ['token_endpoint_auth_method: private_key_jwt', JWKS];

describe('Profiles', () => {
  it('The default profile is oauth2.1', () => {
    assert.equal(parse('issuer: https://login.example.com').config.profile, 'oauth2.1');
  });

  it('The profile of the server or a client must be a known one', () => {
    const known = 'oauth2.1, fapi2-security, fapi2-message-signing, mcp, legacy';
    assert.deepEqual(problemsOf('issuer: https://login.example.com\nprofile: fapi2'), [
      `2 profile: must be one of ${known}`,
    ]);
    assert.deepEqual(problemsOf(withApp('mcp', [...SIGNED, 'profile: strict'])), [
      `10 clients[0].profile: client "app": must be one of ${known}`,
    ]);
  });

  it('A configuration that meets the profile’s requirements is accepted', () => {
    parse(withApp('fapi2-security', SIGNED, [ES256]));
    parse(withApp('fapi2-message-signing', SIGNED, [ES256]));
  });

  it('The report names every server setting that the profile does not allow', () => {
    const server = ['keys: { algorithms: [ES256, RS256] }', 'tokens: { authorization_code: 2m }'];
    assert.deepEqual(problemsOf(withApp('fapi2-security', SIGNED, server)), [
      '3 keys.algorithms[1]: must not be RS256 for profile fapi2-security: PS256, ES256, EdDSA, Ed25519',
      '4 tokens.authorization_code: must be at most 60s for profile fapi2-security',
    ]);
  });

  it('The report names every client setting that the profile does not allow', () => {
    const settings = [
      'secret: { env: APP_SECRET }',
      'request_object_signing_alg: RS256',
      'require_pushed_authorization_requests: false',
      'require_signed_request_object: false',
      'dpop_bound_access_tokens: false',
    ];
    const given = { environment: { APP_SECRET: 'the-secret-of-an-app-of-somebody' } };
    const named = problemsOf(withApp('fapi2-message-signing', [...settings, JWKS], [ES256]), given);
    assert.deepEqual(
      named.map((problem) => problem.replace(/^\d+ clients\[0\]\.(\S+): client "app": /, '$1 ')),
      [
        'token_endpoint_auth_method must not be client_secret_basic for profile fapi2-message-signing: private_key_jwt, tls_client_auth, self_signed_tls_client_auth',
        'request_object_signing_alg must not be RS256 for profile fapi2-message-signing: PS256, ES256, EdDSA, Ed25519',
        'require_pushed_authorization_requests must not be false for profile fapi2-message-signing',
        'require_signed_request_object must not be false for profile fapi2-message-signing',
        'dpop_bound_access_tokens must not be false for profile fapi2-message-signing',
      ],
    );
  });

  it('The profile of a client overrides that of the server', () => {
    const settings = ['secret: { env: APP_SECRET }', 'profile: oauth2.1'];
    parse(withApp('fapi2-security', settings, [ES256]), {
      environment: { APP_SECRET: 'the-secret-of-an-app-of-somebody' },
    });
    assert.equal(
      problemsOf(withApp('legacy', [...SIGNED, 'profile: fapi2-security', 'id_token_signing_alg: RS256'])).length,
      1,
    );
  });

  it('Only the legacy profile allows tokens in the browser and the password grant', () => {
    const settings = [...SIGNED, 'first_party: true', 'grant_types: [authorization_code, password]'];
    const types = 'response_types: [code, code id_token, id_token token]';
    const faults = (profile: string) =>
      problemsOf(withApp(profile, [...settings, types], [ES256])).map(
        (line) => /\S+: client "app": (.*) for/.exec(line)?.[1],
      );
    assert.deepEqual(faults('oauth2.1'), ['must not be password', 'must not be id_token token']);
    assert.deepEqual(faults('mcp'), [
      'must not be password',
      'must not be code id_token',
      'must not be id_token token',
    ]);
    parse(withApp('legacy', [...settings, types], [ES256]));
  });
});
