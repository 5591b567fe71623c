import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createPlainServer, type Server as PlainServer } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt, SignJWT } from 'jose';
import { clientSchema } from '../../src/config/sections/client-schema.ts';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { openToAll, register } from '../registration/registering.ts';
import { Browser } from '../support/browser.ts';
import { selfSignedCertificate } from '../support/certificate.ts';
import {
  ADMIN,
  ALICE,
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  signIn,
  tokenRequest,
  tokensFor,
  type Person,
} from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { clientKey, type ClientKey } from '../support/signed-request.ts';
import { apiOf, verified } from '../support/tokens.ts';
import { startLogoutReceiver, type LogoutReceiver } from './logout-receiver.ts';

const SECRET = 'a-secret-of-one-of-the-apps-here';
const CIBA = 'urn:openid:params:grant-type:ciba';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';

/** Two apps of one company, one of another, and one that asks people who are elsewhere. */
const REDIRECTS = {
  shop: 'https://app.one.example/callback',
  till: 'https://app.one.example/till',
  bank: 'https://app.two.example/callback',
};

type App = keyof typeof REDIRECTS;

describe('Pairwise subjects', () => {
  let server: TestServer;
  let logouts: LogoutReceiver;
  let key: ClientKey;
  let keys: PlainServer;
  let alice: Record<App, Record<string, string>>;

  before(async () => {
    logouts = await startLogoutReceiver();
    key = await clientKey();
    keys = createPlainServer((_request, response) => {
      response.end(JSON.stringify(key.jwks));
    }).listen(0, '127.0.0.1');
    await once(keys, 'listening');
    server = await startTestServer({ change: withApps });
    alice = { shop: await tokens('shop'), till: await tokens('till'), bank: await tokens('bank') };
  });
  after(async () => {
    await server.close();
    await logouts.close();
    keys.close();
  });

  function withApps(config: Config): Config {
    const keyHost = `127.0.0.1:${(keys.address() as AddressInfo).port}`;
    const web = config.clients.find(({ client_id: id }) => id === 'demo-web');
    assert.ok(web !== undefined);
    const { default_resource: _none, ...app } = web;
    const apps = Object.entries(REDIRECTS).map(([client_id, redirect]): ClientConfig => ({
      ...app,
      client_id,
      client_name: client_id,
      secret: new Secret(SECRET),
      first_party: true,
      subject_type: 'pairwise',
      introspection: true,
      redirect_uris: [redirect],
      post_logout_redirect_uris: [],
      ...(client_id === 'bank' && { backchannel_logout_uri: logouts.uri }),
    }));
    const gateway = clientSchema.parse({
      client_id: 'gateway',
      client_name: 'Gateway',
      type: 'machine',
      secret: new Secret(SECRET),
      grant_types: [EXCHANGE],
      scopes: ['notes:read'],
      resources: app.resources,
      introspection: true,
      token_exchange: {
        clients: ['shop'],
        audiences: app.resources,
        resources: app.resources,
        subject_token_types: ['access_token', 'id_token'],
      },
    });
    const caller = clientSchema.parse({
      client_id: 'caller',
      client_name: 'Caller',
      type: 'web',
      grant_types: [CIBA, 'authorization_code'],
      token_endpoint_auth_method: 'private_key_jwt',
      subject_type: 'pairwise',
      sector_identifier_uri: 'https://app.one.example/sector.json',
      jwks_uri: `http://${keyHost}/keys.json`,
      redirect_uris: ['https://app.one.example/caller'],
      scopes: ['openid'],
    });
    return {
      ...config,
      outgoing: { allow: [logouts.host, keyHost] },
      clients: [...config.clients, ...apps, gateway, caller],
    };
  }

  async function tokens(app: App, person: Person = ALICE, browser = new Browser()): Promise<Record<string, string>> {
    const parameters = { redirect_uri: REDIRECTS[app], scope: 'openid email notes:read' };
    const request = authorizationRequest(server.issuer, app, parameters);
    const callback = await signIn(browser, request, person);
    const { body } = await exchangeCode(server.issuer, request, callback, `${app}:${SECRET}`);
    assert.ok(body['id_token'] !== undefined, JSON.stringify(body));
    return body as Record<string, string>;
  }

  const post = async (path: string, client: string, parameters: Record<string, string>): Promise<Response> =>
    fetch(`${server.issuer}${path}`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${client}:${SECRET}`).toString('base64')}` },
      body: new URLSearchParams(parameters),
    });
  const introspect = async (client: string, token = ''): Promise<Record<string, unknown>> =>
    (await (await post('/introspect', client, { token })).json()) as Record<string, unknown>;
  const subjectOf = (given: Record<string, string>): string => String(decodeJwt(given['id_token'] ?? '').sub);

  it('The apps of one sector receive the same pairwise subject at each sign-in', async () => {
    assert.equal(subjectOf(alice.shop), subjectOf(alice.till));
    assert.equal(subjectOf(await tokens('shop')), subjectOf(alice.shop));
  });

  it('The pairwise subject differs between sectors and accounts, and hides the account id', async () => {
    const known = subjectOf(await tokensFor(server.issuer));
    const all = [known, subjectOf(alice.shop), subjectOf(alice.bank), subjectOf(await tokens('shop', ADMIN))];
    assert.equal(new Set(all).size, 4);
    for (const subject of all) assert.match(subject, /^acc_[\w-]{1,251}$/);
    assert.ok(!all.slice(1).some((subject) => Buffer.from(subject.slice(4), 'base64url').includes(known)));
  });

  it('The pairwise subject is the same in ID tokens, access tokens, userinfo and introspection', async () => {
    const subject = subjectOf(alice.shop);
    const { claims } = await verified(server.issuer, alice.shop['access_token'], apiOf(server.issuer));
    assert.equal(claims.sub, subject);
    const userinfo = await fetch(`${server.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${alice.shop['access_token'] ?? ''}` },
    });
    assert.equal(((await userinfo.json()) as { sub: string }).sub, subject);
    for (const token of [alice.shop['access_token'], alice.shop['refresh_token']]) {
      const own = await introspect('shop', token);
      assert.deepEqual([own['active'], own['sub']], [true, subject]);
    }
    // Whoever else may ask learns the name that the token has.
    assert.equal((await introspect('bank', alice.shop['access_token']))['sub'], subject);
    assert.equal((await introspect('gateway', alice.shop['access_token']))['sub'], subject);
  });

  it('The server accepts an ID token of the app as a hint, and refuses one of another person', async () => {
    const browser = new Browser();
    const { id_token: hint = '' } = await tokens('shop', ALICE, browser);
    const other = (await tokens('shop', ADMIN))['id_token'] ?? '';
    const silent = (id_token_hint: string) =>
      answerAtOnce(
        browser,
        authorizationRequest(server.issuer, 'shop', { redirect_uri: REDIRECTS.shop, prompt: 'none', id_token_hint }),
      );
    assert.ok('code' in (await silent(hint)));
    assert.equal((await silent(other))['error'], 'login_required');
  });

  it('An app signs its person out without a question only with an ID token of that session', async () => {
    const browser = new Browser();
    const { id_token: hint = '' } = await tokens('shop', ALICE, browser);
    const out = (id_token_hint: string) => browser.visit(`${server.issuer}/logout?${new URLSearchParams({ id_token_hint }).toString()}`); // prettier-ignore
    assert.match((await out(alice.shop['id_token'] ?? '')).html, /name="xsrf"/);
    assert.doesNotMatch((await out(hint)).html, /name="xsrf"/);
    const silent = authorizationRequest(server.issuer, 'shop', { redirect_uri: REDIRECTS.shop, prompt: 'none' });
    assert.equal((await answerAtOnce(browser, silent))['error'], 'login_required');
  });

  it('The logout token contains the pairwise subject', async () => {
    const browser = new Browser();
    const { id_token: hint = '' } = await tokens('bank', ALICE, browser);
    const before = logouts.received.length;
    await browser.visit(`${server.issuer}/logout?${new URLSearchParams({ id_token_hint: hint }).toString()}`);
    await logouts.whenReceived(before + 1);
    const logout = decodeJwt(logouts.received.at(-1)?.body.get('logout_token') ?? '');
    assert.equal(logout.sub, subjectOf(alice.bank));
  });

  it('An access token with a pairwise subject can be revoked', async () => {
    const { access_token: token = '' } = await tokens('till');
    assert.equal((await introspect('till', token))['active'], true);
    assert.equal((await post('/revoke', 'till', { token })).status, 200);
    assert.equal((await introspect('till', token))['active'], false);
  });

  it('A token exchange replaces the subject by the one that the next client knows', async () => {
    const known = subjectOf(await tokensFor(server.issuer));
    for (const [type, token] of [
      [ACCESS_TOKEN, alice.shop['access_token']],
      [ID_TOKEN, alice.shop['id_token']],
    ]) {
      const parameters = {
        grant_type: EXCHANGE,
        subject_token: token ?? '',
        subject_token_type: type ?? '',
        resource: apiOf(server.issuer),
      };
      const { status, body } = await tokenRequest(server.issuer, parameters, `gateway:${SECRET}`);
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(decodeJwt(String(body['access_token'])).sub, known);
    }
  });

  it('A CIBA client names the person by the subject of its own sector only', async () => {
    const ask = async (login_hint: string): Promise<Record<string, unknown>> => {
      const assertion = await new SignJWT()
        .setProtectedHeader({ alg: 'ES256' })
        .setIssuer('caller')
        .setSubject('caller')
        .setAudience(server.issuer)
        .setJti(crypto.randomUUID())
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign(key.privateKey);
      const response = await fetch(`${server.issuer}/backchannel_authentication`, {
        method: 'POST',
        body: new URLSearchParams({
          scope: 'openid',
          login_hint,
          client_id: 'caller',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: assertion,
        }),
      });
      return (await response.json()) as Record<string, unknown>;
    };
    assert.ok('auth_req_id' in (await ask(subjectOf(alice.shop))));
    for (const stranger of [subjectOf(alice.bank), subjectOf(await tokensFor(server.issuer))])
      assert.equal((await ask(stranger))['error'], 'unknown_user_id');
  });

  it('The metadata lists both subject types', async () => {
    const response = await fetch(`${server.issuer}/.well-known/openid-configuration`);
    const metadata = (await response.json()) as Record<string, unknown>;
    assert.deepEqual(metadata['subject_types_supported'], ['public', 'pairwise']);
  });
});

describe('The sector of a client', () => {
  let directory: string;
  let host: Server;
  let url: string;
  let answer: unknown;
  const { cert, key } = selfSignedCertificate();

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'latchkey-sector-'));
    await writeFile(join(directory, 'ca.pem'), cert);
    const port = await freePort();
    url = `https://localhost:${port}/sector.json`;
    host = createServer({ cert, key }, (_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(answer));
    }).listen(port, 'localhost');
    await once(host, 'listening');
  });
  after(async () => {
    host.close();
    await rm(directory, { recursive: true, force: true });
  });

  const REDIRECT = 'https://app.one.example/callback';
  const withSector =
    (sector: string) =>
    (config: Config): Config => ({
      ...config,
      outgoing: { allow: ['localhost'], ca: join(directory, 'ca.pem') },
      clients: [
        ...config.clients,
        clientSchema.parse({
          client_id: 'shop',
          client_name: 'Shop',
          type: 'spa',
          redirect_uris: [REDIRECT],
          subject_type: 'pairwise',
          sector_identifier_uri: sector,
        }),
      ],
    });

  it('The server reads the sector document at the start, and stops if a redirect URI is missing in it', async () => {
    answer = [REDIRECT, 'https://app.two.example/callback'];
    await (await startTestServer({ change: withSector(url) })).close();
    for (const [given, reason] of [
      [
        ['https://app.two.example/callback'],
        /"shop" cannot be used: sector_identifier_uri does not list https:\/\/app\.one/,
      ],
      [{ redirect_uris: [REDIRECT] }, /must answer a JSON array/],
    ] as const) {
      answer = given;
      await assert.rejects(startTestServer({ change: withSector(url) }), reason);
    }
  });

  it('The server starts even if it cannot reach the sector document', async () => {
    await using server = await startTestServer({
      change: withSector(`https://localhost:${await freePort()}/sector.json`),
    });
    const request = authorizationRequest(server.issuer, 'shop', { redirect_uri: REDIRECT });
    const { body } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request));
    assert.match(String(decodeJwt(String(body['id_token'])).sub), /^acc_/);
  });

  describe('For a client that registers itself', () => {
    let server: TestServer;
    before(async () => {
      server = await startTestServer({ change: openToAll({ max_per_hour: 10_000, resources: [] }) });
    });
    after(() => server.close());

    it('The sector of a self-registered client is the host of its redirect URIs if they have only one', async () => {
      const spa = { token_endpoint_auth_method: 'none', redirect_uris: [REDIRECT] };
      const subjects = [];
      for (const subject_type of ['pairwise', 'pairwise', 'public']) {
        const { status, body } = await register(server, { ...spa, subject_type });
        assert.deepEqual([status, body['subject_type']], [201, subject_type], JSON.stringify(body));
        const parameters = { redirect_uri: REDIRECT, scope: 'openid' };
        const given = await tokensFor(server.issuer, { clientId: String(body['client_id']), parameters });
        subjects.push(decodeJwt(given['id_token'] ?? '').sub);
      }
      const [first, second, known] = subjects;
      assert.equal(first, second);
      assert.notEqual(first, known);
    });

    const FAULTY: Record<string, [metadata: object, reason: RegExp]> = {
      'several hosts without a sector document': [
        { subject_type: 'pairwise', redirect_uris: [REDIRECT, 'https://app.two.example/callback'] },
        /sector_identifier_uri is required for pairwise subjects: redirect_uris have several hosts/,
      ],
      'a custom scheme, which any app can use': [
        { subject_type: 'pairwise', token_endpoint_auth_method: 'none', redirect_uris: ['com.example.app:/callback'] },
        /could belong to any app/,
      ],
      'a sector document at a private address': [
        { subject_type: 'pairwise', sector_identifier_uri: 'https://127.0.0.1/sector.json' },
        /sector_identifier_uri cannot be read/,
      ],
      'a sector document at a private address for public subjects': [
        { sector_identifier_uri: 'https://127.0.0.1/sector.json' },
        /sector_identifier_uri cannot be read/,
      ],
      'a sector document without TLS': [
        { subject_type: 'pairwise', sector_identifier_uri: 'http://app.one.example/sector.json' },
        /sector_identifier_uri must be an https URL/,
      ],
      'an unknown subject type': [{ subject_type: 'ephemeral' }, /subject_type/],
    };
    for (const [what, [metadata, reason]] of Object.entries(FAULTY)) {
      it(`The registration refuses ${what}`, async () => {
        const { status, body } = await register(server, metadata);
        assert.deepEqual([status, body['error']], [400, 'invalid_client_metadata'], JSON.stringify(body));
        assert.match(String(body['error_description']), reason);
      });
    }
  });
});
