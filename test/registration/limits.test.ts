import assert from 'node:assert/strict';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { authorizationRequest, exchangeCode, refresh, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { openToAll, REDIRECT, register, send } from './registering.ts';

const DAY = 86_400;

describe('Limits of registration', () => {
  let server: TestServer;
  afterEach(async () => {
    returnToPresent();
    await server.close();
  });

  const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });

  type Registered = Awaited<ReturnType<typeof register>>;

  /** The first token makes a client one that is used. */
  async function use({ body }: Registered): Promise<void> {
    const clientId = String(body['client_id']);
    const request = authorizationRequest(server.issuer, clientId, { redirect_uri: REDIRECT, prompt: 'consent' });
    const { status } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request));
    assert.equal(status, 200);
  }

  async function registerAndUse(): Promise<Registered> {
    const registered = await register(server, { token_endpoint_auth_method: 'none' });
    assert.equal(registered.status, 201, JSON.stringify(registered.body));
    await use(registered);
    return registered;
  }

  it('One address can register a limited number of clients in an hour, even with concurrent requests', async () => {
    server = await startTestServer({
      change: (config) => ({
        ...openToAll({ max_per_hour: 3 })(config),
        listen: { ...config.listen, trusted_proxies: ['127.0.0.1', '::1'] },
      }),
    });
    const answers = await Promise.all(Array.from({ length: 6 }, () => register(server, {}, from('192.0.2.1'))));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 201, 201, 429, 429, 429]);
    const refused = answers.find(({ status }) => status === 429);
    assert.deepEqual(
      [refused?.body['error'], refused?.headers.get('retry-after')],
      ['temporarily_unavailable', '3600'],
    );
    assert.equal((await register(server, {}, from('192.0.2.2'))).status, 201);
    for (const host of ['1', '2', '3'])
      assert.equal((await register(server, {}, from(`2001:db8::${host}`))).status, 201);
    assert.equal((await register(server, {}, from('2001:db8::ffff'))).status, 429);
    travel(3601);
    assert.equal((await register(server, {}, from('192.0.2.1'))).status, 201);
  });

  it('The server counts registrations of a /56 and a /48 together, because one subscriber may have those', async () => {
    server = await startTestServer({
      change: (config) => ({
        ...openToAll({ max_per_hour: 2 })(config),
        listen: { ...config.listen, trusted_proxies: ['127.0.0.1', '::1'] },
      }),
    });
    const taken = async (addresses: string[]) => {
      const answers = [];
      for (const address of addresses) answers.push((await register(server, {}, from(address))).status);
      return answers.filter((status) => status === 201).length;
    };
    const networks = Array.from({ length: 12 }, (_, index) => index.toString(16));
    assert.equal(await taken(networks.map((network) => `2001:db8:1:${network}::1`)), 4, 'in a /56');
    assert.equal(await taken(networks.map((network) => `2001:db8:2:${network}00::1`)), 8, 'in a /48');
    assert.equal(await taken(['2001:db8:1:100::1', '2001:db8:3::1']), 2, 'elsewhere');
  });

  it('The server keeps a limited number of registered clients, and replaces those that were never used', async () => {
    server = await startTestServer({ change: openToAll({ max_clients: 2 }) });
    const used = await registerAndUse();
    const [displaced, last] = [await register(server), await register(server, { token_endpoint_auth_method: 'none' })];
    const read = ({ body }: Registered) =>
      send(String(body['registration_client_uri']), { method: 'GET', token: body['registration_access_token'] });
    assert.deepEqual(
      await Promise.all([used, displaced, last].map(async (one) => (await read(one)).status)),
      [200, 401, 200],
    );
    await use(last);
    assert.equal((await register(server)).status, 429, 'while all are in use');
    const own = { method: 'DELETE', token: last.body['registration_access_token'] };
    assert.equal((await send(String(last.body['registration_client_uri']), own)).status, 204);
    assert.equal((await register(server)).status, 201);
  });

  it('The server removes a client that nobody uses within an hour, even if the client updates itself', async () => {
    server = await startTestServer({ change: openToAll({ unused: 30 * DAY, max_clients: 1 }) });
    const { body } = await register(server);
    const token = body['registration_access_token'];
    const own = String(body['registration_client_uri']);
    travel(3500);
    const { registration_access_token: _token, registration_client_uri: _uri, ...metadata } = body;
    const { client_id_issued_at: _at, client_secret_expires_at: _end, ...mine } = metadata;
    assert.equal((await send(own, { method: 'PUT', token, body: mine })).status, 200);
    travel(101);
    assert.equal((await send(own, { method: 'GET', token })).status, 401);
  });

  it('The server removes a client that nobody uses any more, which makes room for another', async () => {
    server = await startTestServer({ change: openToAll({ unused: 30 * DAY, max_clients: 1 }) });
    const { body } = await registerAndUse();
    const own = { method: 'GET', token: body['registration_access_token'] };
    travel(29 * DAY);
    assert.equal((await send(String(body['registration_client_uri']), own)).status, 200);
    travel(2 * DAY);
    assert.equal((await send(String(body['registration_client_uri']), own)).status, 401);
    const page = await new Browser().visit(
      authorizationRequest(server.issuer, String(body['client_id']), { redirect_uri: REDIRECT }).url,
    );
    assert.equal(page.status, 400);
    assert.equal((await register(server)).status, 201);
  });

  it('The server keeps a client that is in use', async () => {
    server = await startTestServer({ change: openToAll({ unused: 20 * DAY }) });
    const { body } = await register(server, {
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
    });
    const clientId = String(body['client_id']);
    const offline = { scope: 'openid offline_access', prompt: 'consent' };
    const request = authorizationRequest(server.issuer, clientId, { redirect_uri: REDIRECT, ...offline });
    const { body: tokens } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request));
    let token = String(tokens['refresh_token']);
    for (let uses = 0; uses < 4; uses += 1) {
      travel(11 * DAY);
      const answer = await refresh(server.issuer, token, { client_id: clientId });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      token = String(answer.body['refresh_token']);
    }
    const own = { method: 'GET', token: body['registration_access_token'] };
    assert.equal((await send(String(body['registration_client_uri']), own)).status, 200);
  });
});

describe('Registration from browsers', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({
      change: openToAll({ allowed_origins: ['https://inspector.example'], initial_access_token: 'required' }),
    });
  });
  after(() => server.close());

  const asked = async (method: string, origin: string) => {
    const response = await fetch(`${server.issuer}/register`, { method, headers: { origin } });
    const get = (name: string): string | null => response.headers.get(`access-control-${name}`);
    return [response.status, get('allow-origin'), get('allow-headers'), get('allow-credentials')];
  };

  it('Listed origins can register clients from a browser, without cookies', async () => {
    const origin = 'https://inspector.example';
    assert.deepEqual(await asked('OPTIONS', origin), [204, origin, 'Authorization, Content-Type', null]);
    assert.deepEqual(await asked('POST', origin), [401, origin, null, null]);
  });

  it('Other origins cannot register clients from a browser', async () => {
    for (const origin of ['https://evil.example', 'null', 'https://inspector.example.evil.example']) {
      assert.deepEqual(await asked('OPTIONS', origin), [204, null, null, null]);
      assert.deepEqual(await asked('POST', origin), [401, null, null, null]);
    }
  });
});
