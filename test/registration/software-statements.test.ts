import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type JWTPayload } from 'jose';
import { publicJwk } from '../../src/config/values.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { openToAll, REDIRECT, register, send } from './registering.ts';

const ISSUER = 'https://directory.example';
const VOUCHED = 'https://vouched.example/callback';

describe('Software statements', () => {
  let server: TestServer;
  let keys: Awaited<ReturnType<typeof generateKeyPair>>;
  let directory: Server;
  before(async () => {
    keys = await generateKeyPair('ES256', { extractable: true });
    const jwks = { keys: [publicJwk.parse(await exportJWK(keys.publicKey))] };
    directory = createServer((_request, response) => response.end(JSON.stringify(jwks))).listen(0, '127.0.0.1');
    await once(directory, 'listening');
    const host = `127.0.0.1:${(directory.address() as AddressInfo).port}`;
    const software_statements = {
      required: true,
      issuers: [
        { issuer: ISSUER, jwks },
        { issuer: 'https://remote.example', jwks_uri: `http://${host}/jwks` },
        { issuer: 'https://hidden.example', jwks_uri: 'http://127.0.0.1:1/jwks' },
      ],
    };
    server = await startTestServer({
      change: (config) => ({
        ...openToAll({ max_per_hour: 10_000, software_statements })(config),
        outgoing: { allow: [host] },
      }),
    });
  });
  after(async () => {
    await server.close();
    directory.closeAllConnections();
    directory.close();
  });
  afterEach(returnToPresent);

  const statement = (claims: JWTPayload = {}, key = keys.privateKey, header = {}): Promise<string> =>
    new SignJWT({ iss: ISSUER, software_id: 'shop', redirect_uris: [VOUCHED], client_name: 'Shop', ...claims })
      .setProtectedHeader({ alg: 'ES256', ...header })
      .sign(key);

  it('A software statement overrides the client’s own metadata, and the response returns it unchanged', async () => {
    const software_statement = await statement({ scope: 'openid' });
    const { status, body } = await register(server, {
      software_statement,
      client_name: 'Bank',
      client_uri: 'https://a.example',
    });
    assert.equal(status, 201, JSON.stringify(body));
    assert.deepEqual([body['client_name'], body['redirect_uris'], body['scope']], ['Shop', [VOUCHED], 'openid']);
    assert.deepEqual([body['client_uri'], body['software_statement']], ['https://a.example', software_statement]);
  });

  it('The server verifies a software statement with its issuer’s published keys, if it may fetch them', async () => {
    const answers = await Promise.all(
      ['https://remote.example', 'https://hidden.example'].map(async (iss) =>
        register(server, { software_statement: await statement({ iss }) }),
      ),
    );
    assert.deepEqual(
      answers.map(({ status, body }) => [status, body['error']]),
      [
        [201, undefined],
        [400, 'invalid_software_statement'],
      ],
    );
  });

  it('A client’s update cannot change what its software statement says', async () => {
    const software_statement = await statement();
    const { body } = await register(server, { software_statement });
    const url = String(body['registration_client_uri']);
    const token = body['registration_access_token'];
    const metadata = { client_id: body['client_id'], redirect_uris: [REDIRECT], tos_uri: 'https://a.example/terms' };
    for (const given of [{}, { software_statement }]) {
      const answer = await send(url, { method: 'PUT', token, body: { ...metadata, ...given } });
      assert.deepEqual([answer.status, answer.body['redirect_uris']], [200, [VOUCHED]], JSON.stringify(answer.body));
      assert.deepEqual(
        [answer.body['tos_uri'], answer.body['software_statement']],
        [metadata.tos_uri, software_statement],
      );
    }
    const forged = await statement({ redirect_uris: [REDIRECT] }, (await generateKeyPair('ES256')).privateKey);
    const answer = await send(url, { method: 'PUT', token, body: { ...metadata, software_statement: forged } });
    assert.deepEqual([answer.status, answer.body['error']], [400, 'invalid_software_statement']);
  });

  it('The server applies the rules for metadata to a software statement, too', async () => {
    const software_statement = await statement({ redirect_uris: ['https://*.example/'] });
    const { status, body } = await register(server, { software_statement });
    assert.deepEqual([status, body['error']], [400, 'invalid_redirect_uri']);
  });

  it('The server refuses a software statement that is missing, forged, expired or for another purpose', async () => {
    const other = await generateKeyPair('ES256');
    const now = Math.floor(Date.now() / 1000);
    const { software_id: _none, ...idToken } = { software_id: '', sub: 'alice', redirect_uris: [VOUCHED] };
    const hostile: [unknown, string][] = [
      [undefined, 'invalid_software_statement'],
      ['', 'invalid_software_statement'],
      ['x.y.z', 'invalid_software_statement'],
      [{}, 'invalid_software_statement'],
      [await statement({}, other.privateKey), 'invalid_software_statement'],
      [await statement({ exp: now - 60 }), 'invalid_software_statement'],
      [await statement({}, keys.privateKey, { typ: 'at+jwt' }), 'invalid_software_statement'],
      [await statement({}, keys.privateKey, { typ: 'secevent+jwt' }), 'invalid_software_statement'],
      [await statement({}, keys.privateKey, { crit: ['b64'], b64: true }), 'invalid_software_statement'],
      [await statement({ nbf: now + 600 }), 'invalid_software_statement'],
      [await statement({ aud: 'https://elsewhere.example' }), 'invalid_software_statement'],
      [await statement({ ...idToken, software_id: undefined }), 'invalid_software_statement'],
      [new UnsecuredJWT({ iss: ISSUER, software_id: 'x' }).encode(), 'invalid_software_statement'],
      [await statement({ iss: 'https://stranger.example' }), 'unapproved_software_statement'],
      [await statement({ iss: '__proto__' }), 'unapproved_software_statement'],
      [(await statement()).replace(/\.[^.]*$/, '.'), 'invalid_software_statement'],
    ];
    for (const [software_statement, error] of hostile) {
      const { status, body } = await register(server, { software_statement });
      assert.deepEqual([status, body['error']], [400, error], String(software_statement));
    }
  });

  it('A client whose software statement has expired since its registration can still update itself', async () => {
    const { body } = await register(server, {
      software_statement: await statement({ exp: Math.floor(Date.now() / 1000) + 60 }),
    });
    travel(3500);
    const answer = await send(String(body['registration_client_uri']), {
      method: 'PUT',
      token: body['registration_access_token'],
      body: { client_id: body['client_id'] },
    });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  });

  it('A software statement can name this server as its audience', async () => {
    const { status } = await register(server, { software_statement: await statement({ aud: server.issuer }) });
    assert.equal(status, 201);
  });
});
