import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';
import { Browser } from '../support/browser.ts';
import { signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';

// eslint-disable-next-line @typescript-eslint/no-deprecated -- so marked to stand out; this server is on loopback without TLS
const insecure = { [oauth.allowInsecureRequests]: true };

describe('oauth4webapi', () => {
  let server: TestServer;
  let as: oauth.AuthorizationServer;
  before(async () => {
    server = await startTestServer();
    const issuer = new URL(server.issuer);
    as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
  });
  after(() => server.close());

  const app: oauth.Client = { client_id: 'demo-notes' };

  /** A request to an API, as the API gets it. */
  const requestToApi = (accessToken: string): Request =>
    new Request(`${apiOf(server.issuer)}/notes`, { headers: { authorization: `Bearer ${accessToken}` } });

  async function codeFlow(client: oauth.Client, scope: string, options: { DPoP?: oauth.DPoPHandle } = {}) {
    const redirectUri = `http://localhost:${Number(new URL(server.issuer).port) + 1}/callback`;
    const [verifier, state, nonce] = [
      oauth.generateRandomCodeVerifier(),
      oauth.generateRandomState(),
      oauth.generateRandomNonce(),
    ];
    const url = new URL(as.authorization_endpoint ?? '');
    url.search = new URLSearchParams({
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope,
      state,
      nonce,
      max_age: '600',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }).toString();
    const callback = await signIn(new Browser(), { url: url.href, redirectUri, verifier, clientId: client.client_id });
    const parameters = oauth.validateAuthResponse(as, client, callback, state);
    const exchange = (): Promise<Response> =>
      oauth.authorizationCodeGrantRequest(as, client, oauth.None(), parameters, redirectUri, verifier, {
        ...insecure,
        ...options,
      });
    const checks = { expectedNonce: nonce, maxAge: 600, requireIdToken: true };
    return {
      exchange,
      process: (response: Response) => oauth.processAuthorizationCodeResponse(as, client, response, checks),
    };
  }

  it('oauth4webapi also reads the OAuth form of the metadata (RFC 8414)', async () => {
    const issuer = new URL(server.issuer);
    const response = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' });
    assert.equal((await oauth.processDiscoveryResponse(issuer, response)).token_endpoint, as.token_endpoint);
  });

  it('oauth4webapi accepts the signed ID token of a code flow, refreshes and fetches userinfo', async () => {
    const { exchange, process } = await codeFlow(app, 'openid email');
    const response = await exchange();
    const tokens = await process(response);
    await oauth.validateApplicationLevelSignature(as, response, insecure);
    const claims = oauth.getValidatedIdTokenClaims(tokens);
    assert.equal(claims?.['email'], 'alice@example.com');

    const refreshed = await oauth.processRefreshTokenResponse(
      as,
      app,
      await oauth.refreshTokenGrantRequest(as, app, oauth.None(), tokens.refresh_token ?? '', insecure),
    );
    const userinfo = await oauth.userInfoRequest(as, app, refreshed.access_token, insecure);
    const person = await oauth.processUserInfoResponse(as, app, claims.sub, userinfo);
    assert.equal(person.email, 'alice@example.com');
  });

  it('oauth4webapi accepts the access tokens of people and machines at their API, and no others', async () => {
    const { exchange, process } = await codeFlow(app, 'openid notes:read');
    const ofPerson = await process(await exchange());
    const seen = await oauth.validateJwtAccessToken(
      as,
      requestToApi(ofPerson.access_token),
      apiOf(server.issuer),
      insecure,
    );
    assert.deepEqual([seen.client_id, seen.scope], ['demo-notes', 'notes:read']);
    await assert.rejects(
      oauth.validateJwtAccessToken(as, requestToApi(ofPerson.access_token), 'https://another.example', insecure),
    );
    await assert.rejects(
      oauth.validateJwtAccessToken(as, requestToApi(ofPerson.id_token ?? ''), 'demo-notes', insecure),
    );

    const machine: oauth.Client = { client_id: 'demo-service' };
    const ofMachine = await oauth.processClientCredentialsResponse(
      as,
      machine,
      await oauth.clientCredentialsGrantRequest(
        as,
        machine,
        oauth.ClientSecretBasic('demo-service-secret'),
        { scope: 'notes:read' },
        insecure,
      ),
    );
    const { sub } = await oauth.validateJwtAccessToken(
      as,
      requestToApi(ofMachine.access_token),
      apiOf(server.issuer),
      insecure,
    );
    assert.equal(sub, 'demo-service');
  });

  it('oauth4webapi with a slow clock gets a nonce for its DPoP proofs, and an API accepts the bound token', async () => {
    const late: oauth.Client = { ...app, [oauth.clockSkew]: -600 };
    const keys = await oauth.generateKeyPair('ES256');
    const DPoP = oauth.DPoP(late, keys);
    const { exchange, process } = await codeFlow(late, 'openid notes:read', { DPoP });
    const refused = await exchange();
    await assert.rejects(process(refused), (error) => oauth.isDPoPNonceError(error));
    const tokens = await process(await exchange());
    assert.equal(tokens.token_type, 'dpop');

    const shown: Request[] = [];
    await oauth.protectedResourceRequest(tokens.access_token, 'GET', new URL(requestToApi('').url), undefined, null, {
      ...insecure,
      DPoP: oauth.DPoP(app, keys),
      [oauth.customFetch]: async (url, { headers }) => {
        shown.push(new Request(url, { headers }));
        return new Response();
      },
    });
    const [request = assert.fail('nothing was sent')] = shown;
    const seen = await oauth.validateJwtAccessToken(as, request, apiOf(server.issuer), insecure);
    assert.match(String(seen.cnf?.jkt), /./);
  });

  it('oauth4webapi reads introspection responses, also as JWTs (RFC 9701), before and after a revocation', async () => {
    const machine: oauth.Client = { client_id: 'demo-service' };
    const gateway: oauth.Client = { client_id: 'demo-web', introspection_signed_response_alg: 'RS256' };
    const [proof, ofGateway] = ['demo-service-secret', 'demo-web-secret'].map((secret) =>
      oauth.ClientSecretBasic(secret),
    );
    assert.ok(proof !== undefined && ofGateway !== undefined);
    const request = await oauth.clientCredentialsGrantRequest(as, machine, proof, { scope: 'notes:read' }, insecure);
    const { access_token: token } = await oauth.processClientCredentialsResponse(as, machine, request);
    const ask = async (requestJwtResponse: boolean): Promise<oauth.IntrospectionResponse> => {
      const options = { ...insecure, requestJwtResponse };
      const response = await oauth.introspectionRequest(as, gateway, ofGateway, token, options);
      const answer = await oauth.processIntrospectionResponse(as, gateway, response);
      if (requestJwtResponse) await oauth.validateApplicationLevelSignature(as, response, insecure);
      return answer;
    };
    for (const isSigned of [false, true]) {
      const { active, client_id, aud, scope } = await ask(isSigned);
      assert.deepEqual([active, client_id, aud, scope], [true, 'demo-service', apiOf(server.issuer), 'notes:read']);
    }
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, machine, proof, token, insecure));
    for (const isSigned of [false, true]) assert.deepEqual((await ask(isSigned)).active, false);
  });
});
