import assert from 'node:assert/strict';
import { createVerifier } from '../../src/resource-server/resource-server.ts';
import type { VerifierOptions } from '../../src/resource-server/resource-server.ts';
import { startApi } from './api.ts';
import { AUDIENCE } from './issuer.ts';

const issuer = 'https://issuer.example';
const dpop_signing_alg_values_supported = ['ES256', 'EdDSA', 'Ed25519', 'PS256', 'RS256'];

describe('The metadata of an API (RFC 9728)', () => {
  const metadataOf = (options: Partial<VerifierOptions>): unknown =>
    createVerifier({ issuer, audience: AUDIENCE, ...options }).metadata;

  it('The API serves its metadata to everybody, including pages of other origins', async () => {
    await using api = await startApi({ url: issuer }, { metadata: { scopes_supported: ['notes:read'] } });
    const answer = await api.ask({ path: '/.well-known/oauth-protected-resource' });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.equal(answer.headers['access-control-allow-origin'], '*');
    assert.deepEqual(JSON.parse(answer.body), {
      resource: AUDIENCE,
      authorization_servers: [issuer],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported,
      scopes_supported: ['notes:read'],
    });
    const head = await api.ask({ method: 'HEAD', path: '/.well-known/oauth-protected-resource' });
    assert.deepEqual([head.status, head.body], [200, '']);
  });

  it('The API serves its metadata only at the exact path and only to GET and HEAD', async () => {
    await using api = await startApi({ url: issuer });
    for (const path of ['/.well-known/oauth-protected-resource/', '/.well-known/oauth-protected-resource?a', '/']) {
      assert.equal((await api.ask({ path })).status, 401);
    }
    assert.equal((await api.ask({ method: 'POST', path: '/.well-known/oauth-protected-resource' })).status, 401);
  });

  it('The well-known path precedes the path of the resource', () => {
    const places = ['https://api.example/v1', 'https://api.example/v1/', 'https://api.example/?tenant=a'].map(
      (audience) => createVerifier({ issuer, audience }).metadata?.url,
    );
    assert.deepEqual(places, [
      'https://api.example/.well-known/oauth-protected-resource/v1',
      'https://api.example/.well-known/oauth-protected-resource/v1/',
      'https://api.example/.well-known/oauth-protected-resource?tenant=a',
    ]);
  });

  it('The metadata says that tokens must be bound if the API requires that', () => {
    assert.deepEqual(metadataOf({ dpop: { required: true, algorithms: ['ES256'] } }), {
      path: '/.well-known/oauth-protected-resource',
      url: 'https://api.example/.well-known/oauth-protected-resource',
      document: {
        resource: AUDIENCE,
        authorization_servers: [issuer],
        bearer_methods_supported: ['header'],
        dpop_signing_alg_values_supported: ['ES256'],
        dpop_bound_access_tokens_required: true,
      },
    });
  });

  it('An API whose identifier is no URL has no metadata and does not mention any', async () => {
    assert.equal(metadataOf({ audience: 'notes-api' }), undefined);
    await using api = await startApi({ url: issuer }, { audience: 'notes-api' });
    assert.deepEqual((await api.ask({})).challenges, ['Bearer realm="notes-api"']);
    assert.throws(() => createVerifier({ issuer, audience: 'notes-api', dpop: { required: true } }), TypeError);
  });
});
