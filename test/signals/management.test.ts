import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newPlace } from '../durability/command.ts';
import { recordsOf } from '../oidc/behind-the-server.ts';
import { newHolder, proof } from '../support/dpop.ts';
import { tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { startSignalReceiver, type SignalReceiver } from './signal-receiver.ts';
import {
  ACCOUNT_DISABLED,
  CREDENTIAL_CHANGE,
  POLL,
  PUSH,
  Receiver,
  SESSION_REVOKED,
  withSignals,
} from './signals-setup.ts';

const SECRET = 'Bearer never-in-clear';

describe('The management of streams', () => {
  let inside: SignalReceiver;
  let server: TestServer;
  let manager: Receiver;

  before(async () => {
    inside = await startSignalReceiver();
    server = await startTestServer({
      change: withSignals({
        allow: ['receiver.example'],
        clients: { stranger: { shared_signals: { events: ['session-revoked'], accounts: 'own' } } },
      }),
    });
    manager = await Receiver.of(server.issuer, 'watch');
  });

  after(async () => {
    await server.close();
    await inside.close();
  });

  const push = (endpoint_url: string, more: object = {}) => ({ delivery: { method: PUSH, endpoint_url, ...more } });
  const removeAll = async (receiver: Receiver): Promise<void> => {
    const { body } = await receiver.call('GET', '/ssf/streams');
    for (const { stream_id: id } of body as unknown as { stream_id: string }[])
      assert.equal((await receiver.call('DELETE', `/ssf/streams?stream_id=${id}`)).status, 204);
  };
  afterEach(() => removeAll(manager));

  it('The transmitter’s metadata follows the interoperability profile', async () => {
    const response = await fetch(new URL('/.well-known/ssf-configuration', server.issuer));
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    const { issuer } = server;
    assert.deepEqual(await response.json(), {
      spec_version: '1_0',
      issuer,
      jwks_uri: `${issuer}/jwks`,
      delivery_methods_supported: [PUSH, POLL],
      configuration_endpoint: `${issuer}/ssf/streams`,
      status_endpoint: `${issuer}/ssf/status`,
      add_subject_endpoint: `${issuer}/ssf/subjects/add`,
      remove_subject_endpoint: `${issuer}/ssf/subjects/remove`,
      verification_endpoint: `${issuer}/ssf/verification`,
      authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6749' }],
      default_subjects: 'ALL',
    });
  });

  it('A new event stream uses poll delivery by default, and delivers only supported events', async () => {
    const asked = [SESSION_REVOKED, CREDENTIAL_CHANGE, 'urn:example:unknown'];
    const receiver = await Receiver.of(server.issuer, 'stranger');
    const { status, body } = await receiver.call('POST', '/ssf/streams', { events_requested: asked, unknown: 1 });
    assert.equal(status, 201);
    const { stream_id: id, ...rest } = body;
    assert.match(String(id), /^[\w.~-]+$/);
    assert.deepEqual(rest, {
      iss: server.issuer,
      aud: 'stranger',
      events_supported: [SESSION_REVOKED],
      events_requested: asked,
      events_delivered: [SESSION_REVOKED],
      delivery: { method: POLL, endpoint_url: `${server.issuer}/ssf/poll/${String(id)}` },
      min_verification_interval: 30,
    });
    assert.deepEqual((await receiver.call('GET', `/ssf/streams?stream_id=${String(id)}`)).body, body);
    assert.deepEqual((await receiver.call('GET', '/ssf/streams')).body, [body]);
    await removeAll(receiver);
    assert.deepEqual((await receiver.call('GET', '/ssf/streams')).body, []);
  });

  it('PATCH changes the named members of an event stream, and PUT replaces it', async () => {
    const described = { ...push('https://receiver.example/a'), events_requested: [SESSION_REVOKED], description: 'A' };
    const id = await manager.stream(described);
    const updated = await manager.call('PATCH', '/ssf/streams', { stream_id: id, description: 'B' });
    assert.deepEqual([updated.status, updated.body['description']], [200, 'B']);
    assert.deepEqual(updated.body['delivery'], described.delivery);
    assert.deepEqual(updated.body['events_requested'], [SESSION_REVOKED]);
    const change = { ...push('https://receiver.example/b'), events_requested: [ACCOUNT_DISABLED] };
    const replaced = await manager.call('PUT', '/ssf/streams', { stream_id: id, ...change });
    assert.deepEqual([replaced.status, replaced.body['description']], [200, undefined]);
    assert.deepEqual(replaced.body['events_delivered'], [ACCOUNT_DISABLED]);
    // What was read may be sent back whole.
    assert.equal((await manager.call('PUT', '/ssf/streams', replaced.body)).status, 200);
    for (const foreign of [{ iss: 'https://other.example' }, { aud: ['watch'] }, { events_delivered: [] }])
      assert.equal((await manager.call('PATCH', '/ssf/streams', { stream_id: id, ...foreign })).status, 400);
  });

  it('The server never returns an event stream’s authorization header, and stores it sealed', async () => {
    const created = await manager.call(
      'POST',
      '/ssf/streams',
      push('https://receiver.example/', { authorization_header: SECRET }),
    );
    const { stream_id: id } = created.body;
    const read = await manager.call('GET', `/ssf/streams?stream_id=${String(id)}`);
    assert.doesNotMatch(JSON.stringify([created.body, read.body]), /never-in-clear/);
    const store = await recordsOf(server);
    const record = await store.get<object>(`signal-stream:${String(id)}`);
    await store.close();
    assert.match(JSON.stringify(record?.value), /"authorization":"[\w-]{40,}"/);
    for (const file of ['store.db', 'store.db-wal']) {
      const bytes = await readFile(join(server.directory, file));
      assert.equal(bytes.includes('never-in-clear'), false, file);
    }
  });

  it('A receiver can neither read nor change another receiver’s stream', async () => {
    const id = await manager.stream({ events_requested: [SESSION_REVOKED] });
    const other = await Receiver.of(server.issuer, 'stranger');
    const subject = { format: 'iss_sub', iss: server.issuer, sub: 'acc_1' };
    const attempts: [method: string, path: string, body?: object][] = [
      ['GET', `/ssf/streams?stream_id=${id}`],
      ['PATCH', '/ssf/streams', { stream_id: id, description: 'mine' }],
      ['PUT', '/ssf/streams', { stream_id: id }],
      ['DELETE', `/ssf/streams?stream_id=${id}`],
      ['GET', `/ssf/status?stream_id=${id}`],
      ['POST', '/ssf/status', { stream_id: id, status: 'disabled' }],
      ['POST', '/ssf/verification', { stream_id: id }],
      ['POST', '/ssf/subjects/add', { stream_id: id, subject }],
      ['POST', '/ssf/subjects/remove', { stream_id: id, subject }],
      ['POST', `/ssf/poll/${id}`, { returnImmediately: true }],
    ];
    for (const [method, path, body] of attempts) {
      const { status, body: answer } = await other.call(method, path, body);
      const nowhere = await other.call(
        method,
        path.replace(id, 'str_none'),
        body && { ...body, stream_id: 'str_none' },
      );
      assert.deepEqual([status, answer], [404, nowhere.body], `${method} ${path}`);
    }
    assert.deepEqual((await other.call('GET', '/ssf/streams')).body, []);
    assert.equal((await manager.call('GET', `/ssf/status?stream_id=${id}`)).body['status'], 'enabled');
  });

  it('The stream endpoints refuse every request without a token for them (RFC 6750 §3)', async () => {
    const web = await tokensFor(server.issuer, { clientId: 'demo-web' });
    const api = await tokenRequest(
      server.issuer,
      { grant_type: 'client_credentials', resource: apiOf(server.issuer) },
      'watch:receiver-secret',
    );
    const call = (authorization?: string, query = '') =>
      fetch(
        new URL(`/ssf/streams${query}`, server.issuer),
        authorization === undefined ? {} : { headers: { authorization } },
      );
    const none = await call();
    assert.deepEqual([none.status, none.headers.get('www-authenticate')], [401, 'Bearer']);
    const tokens = {
      nothing: '',
      guessed: 'guessed',
      'of a person': web['access_token'],
      'for an API': api.body['access_token'],
    };
    for (const [what, token] of Object.entries(tokens)) {
      const refused = await call(`Bearer ${String(token)}`);
      assert.deepEqual([refused.status, refused.headers.get('cache-control')], [401, 'no-store'], what);
      assert.match(refused.headers.get('www-authenticate') ?? '', /^Bearer error="invalid_token"/, what);
    }
    const good = await tokenRequest(
      server.issuer,
      { grant_type: 'client_credentials', scope: 'ssf.read' },
      'watch:receiver-secret',
    );
    assert.equal((await call(`Bearer ${String(good.body['access_token'])}`)).status, 200);
    assert.equal((await call(undefined, `?access_token=${String(good.body['access_token'])}`)).status, 401);
  });

  it('A token with ssf.read can read streams, but not change them', async () => {
    const id = await manager.stream({ events_requested: [SESSION_REVOKED] });
    const reader = await Receiver.of(server.issuer, 'watch', { scope: 'ssf.read' });
    assert.equal((await reader.call('GET', `/ssf/streams?stream_id=${id}`)).status, 200);
    assert.equal((await reader.call('GET', `/ssf/status?stream_id=${id}`)).status, 200);
    const attempts: [method: string, path: string][] = [
      ['POST', '/ssf/streams'],
      ['PATCH', '/ssf/streams'],
      ['PUT', '/ssf/streams'],
      ['DELETE', `/ssf/streams?stream_id=${id}`],
      ['POST', '/ssf/status'],
      ['POST', '/ssf/verification'],
      ['POST', '/ssf/subjects/add'],
      ['POST', '/ssf/subjects/remove'],
      ['POST', `/ssf/poll/${id}`],
    ];
    for (const [method, path] of attempts) {
      const refused = await reader.call(method, path, method === 'DELETE' ? undefined : { stream_id: id });
      assert.equal(refused.status, 403, `${method} ${path}`);
      assert.match(refused.headers.get('www-authenticate') ?? '', /error="insufficient_scope", scope="ssf\.manage"/);
    }
  });

  it('The token endpoint issues stream tokens only to clients that may receive signals, and to no person', async () => {
    const parameters = { grant_type: 'client_credentials', resource: `${server.issuer}/ssf`, scope: 'ssf.manage' };
    const refused = await tokenRequest(server.issuer, parameters, 'demo-service:demo-service-secret');
    assert.deepEqual([refused.status, refused.body['error']], [400, 'invalid_target']);
    const byScope = { grant_type: 'client_credentials', scope: 'ssf.manage' };
    const { body } = await tokenRequest(server.issuer, byScope, 'demo-service:demo-service-secret');
    assert.notEqual(body['scope'], 'ssf.manage');
    const answer = await fetch(
      `${server.issuer}/authorize?${new URLSearchParams({
        client_id: 'demo-web',
        response_type: 'code',
        redirect_uri: `http://localhost:${Number(new URL(server.issuer).port) + 4}/callback`,
        scope: 'openid ssf.manage',
        resource: `${server.issuer}/ssf`,
        code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
        code_challenge_method: 'S256',
      }).toString()}`,
      { redirect: 'manual' },
    );
    assert.match(answer.headers.get('location') ?? '', /error=invalid_target/);
  });

  it('The stream endpoints accept a DPoP-bound token only with a fresh proof by its key (RFC 9449 §7.1)', async () => {
    const holder = await newHolder();
    const basic = `Basic ${Buffer.from('watch:receiver-secret').toString('base64')}`;
    const answer = await fetch(new URL('/token', server.issuer), {
      method: 'POST',
      headers: { authorization: basic, dpop: await proof(holder, { htm: 'POST', htu: `${server.issuer}/token` }) },
      body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'ssf.read' }),
    });
    const { access_token: token, token_type: type } = (await answer.json()) as Record<string, string>;
    assert.equal(type, 'DPoP');
    const url = `${server.issuer}/ssf/streams`;
    const ath = createHash('sha256').update(String(token)).digest('base64url');
    const dpop = await proof(holder, { htm: 'GET', htu: url, ath });
    const call = (authorization: string, headers: Record<string, string> = {}) =>
      fetch(url, { headers: { authorization, ...headers } }).then(({ status }) => status);
    assert.equal(await call(`DPoP ${String(token)}`, { dpop }), 200);
    assert.equal(await call(`DPoP ${String(token)}`, { dpop }), 401, 'a proof that was used');
    assert.equal(await call(`DPoP ${String(token)}`), 401, 'no proof');
    assert.equal(await call(`Bearer ${String(token)}`), 401, 'as a bearer token');
    const foreign = await proof(await newHolder(), { htm: 'GET', htu: url, ath });
    assert.equal(await call(`DPoP ${String(token)}`, { dpop: foreign }), 401, "another's proof");
  });

  it('The server refuses a push endpoint at a private address, in every spelling of that address', async () => {
    const refused = [
      inside.url,
      inside.url.replace('http:', 'https:'),
      ...['10.0.0.1', '169.254.169.254', '[::1]', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]'].map(
        (host) => `https://${host}/`,
      ),
      ...['ftp://receiver.example/', 'file:///etc/passwd', 'receiver.example', '', 'javascript:alert(1)'],
    ];
    for (const url of refused) {
      const { status } = await manager.call('POST', '/ssf/streams', push(url));
      assert.equal(status, 400, url);
    }
    const id = await manager.stream({ events_requested: [] });
    const moved = await manager.call('PATCH', '/ssf/streams', { stream_id: id, ...push(inside.url) });
    assert.equal(moved.status, 400);
  });

  it('The server does not push to a private host that the operator no longer lists, even for an older stream', async () => {
    const place = await newPlace();
    const start = (allow: string[]) =>
      startTestServer({ sameAs: place, store: place.store, change: withSignals({ allow }) });
    const listing = await start([inside.host]);
    const receiver = await Receiver.of(place.issuer, 'watch');
    const stream = await receiver.stream(push(inside.url));
    await listing.close();
    const strict = await start([]);
    assert.equal((await receiver.call('POST', '/ssf/verification', { stream_id: stream })).status, 204);
    const store = await recordsOf(strict);
    const attempts = async () => (await store.get<{ attempts: number }>(`signal-queue:${stream}`))?.value.attempts ?? 0;
    await until(async () => (await attempts()) > 0);
    assert.deepEqual(inside.arrived, []);
    await store.close();
    await strict.close();
    await place.remove();
  });

  it('The stream endpoints answer 400 to hostile bodies, and never 500', async () => {
    const id = await manager.stream({ events_requested: [SESSION_REVOKED] });
    const bodies = [
      '',
      'null',
      '[]',
      '"text"',
      '{',
      '{"stream_id":1}',
      '{"__proto__":{"stream_id":"x"}}',
      JSON.stringify({ stream_id: id, delivery: null }),
      JSON.stringify({ stream_id: id, delivery: { method: 'urn:other' } }),
      JSON.stringify({ stream_id: id, ...push('https://receiver.example/', { authorization_header: 'a\r\nHost: b' }) }),
      JSON.stringify({ stream_id: id, events_requested: 'all' }),
      JSON.stringify({ stream_id: id, events_requested: Array(101).fill('urn:x') }),
      JSON.stringify({ stream_id: id, status: 'asleep', subject: {}, state: 1, description: 1, ack: 1 }),
      JSON.stringify({
        stream_id: id,
        status: {},
        subject: { format: 'email', email: 'alice@example.com' },
        state: {},
        description: [],
        setErrs: [],
        ack: [{}],
      }),
    ];
    const endpoints = [
      ['PATCH', '/ssf/streams'],
      ['PUT', '/ssf/streams'],
      ['POST', '/ssf/status'],
      ['POST', '/ssf/verification'],
      ['POST', '/ssf/subjects/add'],
      ['POST', '/ssf/subjects/remove'],
    ] as const;
    for (const body of bodies) {
      for (const [method, path] of endpoints) {
        const { status } = await manager.call(method, path, body);
        // A body that is wrong for one of them may be right for another.
        const isRight = body.startsWith('{"stream_id":"') && (status < 300 || status === 429);
        assert.ok(status === 400 || isRight, `${status} ${method} ${path} ${body}`);
      }
    }
    const tooLarge = await manager.call('POST', '/ssf/streams', JSON.stringify({ description: 'x'.repeat(20_000) }));
    assert.equal(tooLarge.status, 413);
  });

  it('A receiver can have at most ten streams, and one verification every 30 seconds', async () => {
    const ids: string[] = [];
    for (let count = 0; count < 10; count += 1) ids.push(await manager.stream({}));
    assert.equal((await manager.call('POST', '/ssf/streams', {})).status, 403);
    const verify = () => manager.call('POST', '/ssf/verification', { stream_id: ids[0] });
    assert.equal((await verify()).status, 204);
    const second = await verify();
    assert.deepEqual([second.status, second.headers.get('retry-after')], [429, '30']);
  });

  it('The server has no stream endpoints unless the operator enables shared signals', async () => {
    await using plain = await startTestServer();
    assert.equal((await fetch(new URL('/.well-known/ssf-configuration', plain.issuer))).status, 404);
    assert.equal((await fetch(new URL('/ssf/streams', plain.issuer))).status, 404);
    const parameters = { grant_type: 'client_credentials', resource: `${plain.issuer}/ssf` };
    const { body } = await tokenRequest(plain.issuer, parameters, 'demo-service:demo-service-secret');
    assert.equal(body['error'], 'invalid_target');
  });
});
