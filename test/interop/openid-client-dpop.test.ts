import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import type { Config } from '../../src/config/schema.ts';
import { createVerifier, guard, serveMetadata, type Verifier } from '../../src/resource-server/resource-server.ts';
import { serve, type Serving } from '../resource-server/serving.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** What an API answered, one line for each request. */
const lineOf = (status: number, challenge = ''): string =>
  `${status} ${/error="(\w+)"/.exec(challenge)?.[1] ?? ''}`.trim();

describe('openid-client with DPoP, at an API that uses the kit', () => {
  let server: TestServer;
  let verifier: Verifier;
  let api: Serving;
  let config: client.Configuration;
  let answers: string[];

  before(async () => {
    const apiUrl = `http://127.0.0.1:${await freePort()}`;
    server = await startTestServer({ change: (demo) => withApi(demo, apiUrl) });
    const { issuer } = server;
    verifier = createVerifier({ issuer, audience: apiUrl, dpop: { required: true, nonces: true } });
    const [letIn, describe] = [guard(verifier, { scope: 'notes:read' }), serveMetadata(verifier)];
    api = await serve(
      (request, response) => {
        response.once('finish', () => {
          answers.push(lineOf(response.statusCode, String(response.getHeader('www-authenticate'))));
        });
        if (!describe(request, response))
          void letIn(request, response).then((token) => token && response.end(JSON.stringify({ sub: token.sub })));
      },
      Number(new URL(apiUrl).port),
    );
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- so marked to stand out; this server is on loopback without TLS
    const insecure = { execute: [client.allowInsecureRequests] };
    const authentication = client.ClientSecretBasic('demo-service-secret');
    config = await client.discovery(new URL(issuer), 'demo-service', undefined, authentication, insecure);
  });
  beforeEach(() => {
    answers = [];
  });
  after(async () => {
    verifier.close();
    await api.close();
    await server.close();
  });

  function withApi(demo: Config, identifier: string): Config {
    const [notes] = demo.resources;
    assert.ok(notes !== undefined);
    const machine = { resources: [identifier], default_resource: identifier };
    return {
      ...demo,
      resources: [...demo.resources, { ...notes, identifier }],
      clients: demo.clients.map((one) => (one.client_id === 'demo-service' ? { ...one, ...machine } : one)),
    };
  }

  const newHandle = async (): Promise<client.DPoPHandle> =>
    client.getDPoPHandle(config, await client.randomDPoPKeyPair());

  const tokenFor = async (DPoP: client.DPoPHandle): Promise<string> =>
    (await client.clientCredentialsGrant(config, { scope: 'notes:read' }, { DPoP })).access_token;

  const ask = (token: string, DPoP: client.DPoPHandle, method = 'GET'): Promise<Response> =>
    client.fetchProtectedResource(config, token, new URL('/notes?of=me', api.url), method, undefined, undefined, {
      DPoP,
    });

  it('openid-client uses the nonce of the API’s first response, and keeps it', async () => {
    const handle = await newHandle();
    const token = await tokenFor(handle);
    assert.deepEqual(await (await ask(token, handle)).json(), { sub: 'demo-service' });
    assert.equal((await ask(token, handle, 'POST')).status, 200);
    assert.deepEqual(answers, ['401 use_dpop_nonce', '200', '200']);
  });

  it('An API with the kit refuses openid-client’s token with a proof by another key', async () => {
    const token = await tokenFor(await newHandle());
    await assert.rejects(ask(token, await newHandle()), client.WWWAuthenticateChallengeError);
    assert.deepEqual(answers, ['401 invalid_token']);
  });

  it('An API with the kit demands a proof if openid-client sends a token as a bearer token', async () => {
    const handle = await newHandle();
    const bound = await tokenFor(handle);
    const url = new URL('/notes', api.url);
    await assert.rejects(
      client.fetchProtectedResource(config, bound, url, 'GET'),
      client.WWWAuthenticateChallengeError,
    );
    const { access_token: bearer } = await client.clientCredentialsGrant(config, { scope: 'notes:read' });
    await assert.rejects(
      client.fetchProtectedResource(config, bearer, url, 'GET'),
      client.WWWAuthenticateChallengeError,
    );
    // Bearer is no scheme that this API takes, so no token was shown (RFC 6750 §3).
    assert.deepEqual(answers, ['401', '401']);
  });

  it('openid-client and oauth4webapi read the authorization server and the DPoP requirement from the API (RFC 9728)', async () => {
    const identifier = new URL(api.url);
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- as above
    const insecure = { [oauth.allowInsecureRequests]: true };
    const response = await oauth.resourceDiscoveryRequest(identifier, insecure);
    const metadata = await oauth.processResourceDiscoveryResponse(identifier, response);
    assert.deepEqual(metadata.authorization_servers, [server.issuer]);
    assert.equal(metadata.dpop_bound_access_tokens_required, true);
  });
});
