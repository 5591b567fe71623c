import assert from 'node:assert/strict';
import * as client from 'openid-client';
import { Browser } from '../support/browser.ts';
import { signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';

describe('openid-client', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer();
    alice = new Browser();
  });
  after(() => server.close());

  // eslint-disable-next-line @typescript-eslint/no-deprecated -- so marked to stand out; this server is on loopback without TLS
  const insecure = { execute: [client.allowInsecureRequests] };

  const publicApp = (): Promise<client.Configuration> =>
    client.discovery(new URL(server.issuer), 'demo-notes', undefined, client.None(), insecure);
  const webApp = (): Promise<client.Configuration> =>
    client.discovery(
      new URL(server.issuer),
      'demo-web',
      'demo-web-secret',
      client.ClientSecretBasic('demo-web-secret'),
      insecure,
    );
  const machine = (): Promise<client.Configuration> =>
    client.discovery(
      new URL(server.issuer),
      'demo-service',
      undefined,
      client.ClientSecretPost('demo-service-secret'),
      insecure,
    );

  const placeOf = (offset: number, path: string): string =>
    `http://localhost:${Number(new URL(server.issuer).port) + offset}${path}`;

  /** The app's part of the code flow, with everything that the library can check; the person's part is a browser's. */
  async function codeFlow(
    config: client.Configuration,
    options: {
      redirectUri: string;
      scope: string;
      pushed?: boolean;
      dpop?: client.DPoPHandle;
      more?: Record<string, string>;
    },
  ) {
    const { redirectUri, scope, pushed = false, dpop, more = {} } = options;
    const [verifier, expectedState, expectedNonce] = [
      client.randomPKCECodeVerifier(),
      client.randomState(),
      client.randomNonce(),
    ];
    const parameters = {
      redirect_uri: redirectUri,
      scope,
      state: expectedState,
      nonce: expectedNonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      max_age: '3600',
      ...more,
    };
    const with_ = dpop === undefined ? {} : { DPoP: dpop };
    const url = pushed
      ? await client.buildAuthorizationUrlWithPAR(config, parameters, with_)
      : client.buildAuthorizationUrl(config, parameters);
    const clientId = config.clientMetadata().client_id;
    const callback = await signIn(alice, { url: url.href, redirectUri, verifier, clientId });
    const checks = { pkceCodeVerifier: verifier, expectedState, expectedNonce, maxAge: 3600, idTokenExpected: true };
    return client.authorizationCodeGrant(config, callback, checks, {}, with_);
  }

  it('openid-client as a public app signs a person in, refreshes, fetches userinfo and ends the session', async () => {
    const config = await publicApp();
    const tokens = await codeFlow(config, { redirectUri: placeOf(1, '/callback'), scope: 'openid profile email' });
    const claims = tokens.claims();
    assert.equal(claims?.['name'], 'Alice');

    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '');
    assert.notEqual(renewed.refresh_token, tokens.refresh_token);
    const person = await client.fetchUserInfo(config, renewed.access_token, claims.sub);
    assert.equal(person.email, 'alice@example.com');

    const url = client.buildEndSessionUrl(config, {
      id_token_hint: renewed.id_token ?? '',
      post_logout_redirect_uri: placeOf(1, '/'),
      state: 'done',
    });
    const end = await alice.visit(url.href, {}, placeOf(1, '/'));
    assert.equal(end.url, `${placeOf(1, '/')}?state=done`);
    await assert.rejects(client.refreshTokenGrant(config, renewed.refresh_token ?? ''), { error: 'invalid_grant' });
  });

  it('openid-client as a confidential app uses a pushed request, introspection and revocation', async () => {
    const config = await webApp();
    const tokens = await codeFlow(config, {
      redirectUri: placeOf(4, '/callback'),
      scope: 'openid email',
      pushed: true,
    });
    const before = await client.tokenIntrospection(config, tokens.access_token);
    assert.deepEqual([before.active, before.sub, before.client_id], [true, tokens.claims()?.sub, 'demo-web']);
    await client.tokenRevocation(config, tokens.refresh_token ?? '');
    const after = await client.tokenIntrospection(config, tokens.access_token);
    assert.equal(after.active, false);
  });

  it('openid-client gets a token for a machine client', async () => {
    const tokens = await client.clientCredentialsGrant(await machine(), {
      scope: 'notes:read',
      resource: apiOf(server.issuer),
    });
    assert.deepEqual([tokens.scope, tokens.token_type, tokens.expires_in], ['notes:read', 'bearer', 900]);
  });

  it('openid-client gets DPoP-bound tokens with the server’s nonces', async () => {
    const config = await publicApp();
    const handle = client.getDPoPHandle(config, await client.randomDPoPKeyPair());
    const tokens = await codeFlow(config, {
      redirectUri: placeOf(1, '/callback'),
      scope: 'openid email',
      pushed: true,
      dpop: handle,
    });
    assert.equal(tokens.token_type, 'dpop');
    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '', {}, { DPoP: handle });
    const person = await client.fetchUserInfo(config, renewed.access_token, tokens.claims()?.sub ?? '', {
      DPoP: handle,
    });
    assert.equal(person.email, 'alice@example.com');
    await assert.rejects(client.fetchUserInfo(config, renewed.access_token, tokens.claims()?.sub ?? ''));
  });

  it('openid-client reads the error of a refused authorization request', async () => {
    const config = await publicApp();
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: placeOf(1, '/callback'),
      scope: 'openid',
      prompt: 'none',
      state: 's',
      code_challenge: await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier()),
      code_challenge_method: 'S256',
    });
    const page = await new Browser().visit(url.href, {}, placeOf(1, '/callback'));
    await assert.rejects(client.authorizationCodeGrant(config, new URL(page.url), { expectedState: 's' }), {
      error: 'login_required',
    });
  });
});
