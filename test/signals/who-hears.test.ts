import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { Config } from '../../src/config/schema.ts';
import type { AccountEvent } from '../../src/signals/account-event.ts';
import { recordsOf } from '../oidc/behind-the-server.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import {
  accountId,
  ACCOUNT_DISABLED,
  ACCOUNT_ENABLED,
  ACCOUNT_PURGED,
  CREDENTIAL_CHANGE,
  event,
  publish,
  Receiver,
  SESSION_REVOKED,
  STREAM_UPDATED,
  TOKEN_CLAIMS_CHANGE,
  verifySet,
  withSignals,
  type Set,
} from './signals-setup.ts';

const EVERYTHING = [
  SESSION_REVOKED,
  CREDENTIAL_CHANGE,
  TOKEN_CLAIMS_CHANGE,
  ACCOUNT_DISABLED,
  ACCOUNT_ENABLED,
  ACCOUNT_PURGED,
];

describe('The receivers of an account’s events', () => {
  let server: TestServer;
  let [alice, admin]: string[] = [];
  const opened: { receiver: Receiver; stream: string }[] = [];

  before(async () => {
    server = await startTestServer({ change: withSignals() });
    [alice, admin] = [await accountId(server, 'alice@example.com'), await accountId(server, 'admin@example.com')];
    const { id_token } = await tokensFor(server.issuer, {
      clientId: 'demo-web',
      parameters: { scope: 'openid roles' },
    });
    assert.equal(decodeJwt(id_token ?? '').sub, alice);
  });

  after(() => server.close());

  afterEach(async () => {
    returnToPresent();
    for (const { receiver, stream } of opened.splice(0))
      await receiver.call('DELETE', `/ssf/streams?stream_id=${stream}`);
  });

  async function listen(
    client: string,
    events_requested = EVERYTHING,
  ): Promise<{ receiver: Receiver; stream: string }> {
    const receiver = await Receiver.of(server.issuer, client);
    const listening = { receiver, stream: await receiver.stream({ events_requested }) };
    opened.push(listening);
    return listening;
  }

  async function heard({ receiver, stream }: { receiver: Receiver; stream: string }): Promise<Set[]> {
    const { sets } = await receiver.poll(stream);
    await receiver.poll(stream, { ack: Object.keys(sets), maxEvents: 0 });
    return Promise.all(Object.values(sets).map((token) => verifySet(server.issuer, token, receiver.client)));
  }

  const typesOf = (sets: Set[]): string[] => sets.map(({ type }) => type);
  const tell = (account: string | undefined, ...what: Partial<AccountEvent>[]): Promise<void> =>
    publish(server.config, ...what.map((one) => event(account ?? '', one)));

  it('A client gets the events of an account that signed in to it, and of no other account', async () => {
    const [web, stranger, watch] = [await listen('demo-web'), await listen('stranger'), await listen('watch')];
    await tell(alice, { type: 'account-disabled' });
    await tell(admin, { type: 'account-disabled' });
    const user = { format: 'iss_sub', iss: server.issuer, sub: alice };
    assert.deepEqual(
      (await heard(web)).map(({ type, event, subject }) => [type, event, subject]),
      [[ACCOUNT_DISABLED, {}, user]],
    );
    assert.deepEqual(await heard(stranger), []);
    assert.deepEqual(
      (await heard(watch)).map(({ subject }) => subject['sub']),
      [alice, admin],
    );
  });

  it('A client learns its own session id, and a receiver for all accounts learns the id of every client', async () => {
    const [web, watch] = [await listen('demo-web'), await listen('watch')];
    const sessions = [
      { client: 'demo-web', sid: 'of-web' },
      { client: 'demo-notes', sid: 'of-notes' },
    ];
    await tell(alice, { type: 'session-revoked', sessions });
    await tell(alice, { type: 'session-revoked', sessions: sessions.slice(1) });
    const names = (sets: Set[]) => sets.map(({ subject }) => (subject['session'] as { id: string }).id);
    assert.deepEqual(names(await heard(web)), ['of-web']);
    assert.deepEqual(names(await heard(watch)).toSorted(), ['of-notes', 'of-notes', 'of-web']);
  });

  it('An event that all sessions ended names only the person', async () => {
    const [web, watch] = [await listen('demo-web'), await listen('watch')];
    await tell(alice, { type: 'session-revoked' }, { type: 'session-revoked', client: 'demo-notes' });
    const user = { format: 'iss_sub', iss: server.issuer, sub: alice };
    assert.deepEqual(
      (await heard(web)).map(({ subject }) => subject),
      [user],
    );
    assert.deepEqual(
      (await heard(watch)).map(({ subject }) => subject),
      [user],
    );
  });

  it('A client gets the event types that it requested and that the operator allows', async () => {
    const web = await listen('demo-web', [CREDENTIAL_CHANGE, ACCOUNT_ENABLED]);
    await tell(
      alice,
      { type: 'account-disabled' },
      { type: 'credential-change', credential: 'password', change: 'update' },
      { type: 'account-enabled' },
    );
    const sets = await heard(web);
    assert.deepEqual(typesOf(sets), [CREDENTIAL_CHANGE, ACCOUNT_ENABLED]);
    const { credential_type: credential, change_type: change, reason_admin: reason } = sets[0]?.event ?? {};
    assert.deepEqual([credential, change, reason], ['password', 'update', { en: 'The person signed out' }]);
  });

  it('A client gets role changes only if its tokens can contain roles', async () => {
    const [web, watch] = [await listen('demo-web'), await listen('watch')];
    await tokensFor(server.issuer, {
      clientId: 'demo-web',
      parameters: { scope: 'openid' },
      person: { email: 'admin@example.com', password: 'latchkey-demo' },
    });
    const change = { type: 'token-claims-change', claims: { roles: ['user'] } } as const;
    await tell(alice, change);
    await tell(admin, change);
    const told = await heard(web);
    assert.deepEqual(
      told.map(({ subject, event }) => [subject['sub'], event['claims']]),
      [[alice, { roles: ['user'] }]],
    );
    assert.equal((await heard(watch)).length, 2);
  });

  it('A client can remove an account and add it again, and gets the same answer for an unknown account', async () => {
    const web = await listen('demo-web');
    const choose = (how: 'add' | 'remove', sub = '') =>
      web.receiver.call('POST', `/ssf/subjects/${how}`, {
        stream_id: web.stream,
        subject: { format: 'iss_sub', iss: server.issuer, sub },
      });
    const [known, unknown] = [await choose('remove', alice), await choose('remove', 'acc_nobody')];
    assert.deepEqual([known.status, known.body], [204, {}]);
    assert.deepEqual([unknown.status, unknown.body], [204, {}]);
    await tell(alice, { type: 'account-disabled' });
    assert.deepEqual(await heard(web), []);
    assert.equal((await choose('add', alice)).status, 200);
    assert.equal((await choose('add', 'acc_nobody')).status, 200);
    await tell(alice, { type: 'account-enabled' });
    assert.deepEqual(typesOf(await heard(web)), [ACCOUNT_ENABLED]);
  });

  it('A client cannot get a stranger’s events by adding that person to its stream', async () => {
    const stranger = await listen('stranger');
    const subject = { format: 'complex', user: { format: 'iss_sub', iss: server.issuer, sub: alice } };
    const added = await stranger.receiver.call('POST', '/ssf/subjects/add', { stream_id: stranger.stream, subject });
    assert.equal(added.status, 200);
    await tell(alice, { type: 'account-disabled' }, { type: 'session-revoked' });
    assert.deepEqual(await heard(stranger), []);
  });

  it('A client can add no account by email address or under another issuer', async () => {
    const web = await listen('demo-web');
    for (const subject of [
      { format: 'email', email: 'alice@example.com' },
      { format: 'iss_sub', iss: 'https://other.example', sub: alice },
      { format: 'complex', user: { format: 'email', email: 'alice@example.com' } },
    ]) {
      const { status } = await web.receiver.call('POST', '/ssf/subjects/add', { stream_id: web.stream, subject });
      assert.equal(status, 400);
    }
  });

  it('A client gets no events of a deleted account, and the server keeps no record of it', async () => {
    const web = await listen('demo-web');
    const subject = { format: 'iss_sub', iss: server.issuer, sub: admin };
    await web.receiver.call('POST', '/ssf/subjects/add', { stream_id: web.stream, subject });
    const store = await recordsOf(server);
    const kept = async () => (await store.members(`signal-records-of-account:${admin ?? ''}`)).keys.length;
    assert.ok((await kept()) > 0);
    await tell(admin, { type: 'account-purged' });
    assert.equal(await kept(), 0);
    await store.close();
    assert.deepEqual(typesOf(await heard(web)), [ACCOUNT_PURGED]);
  });

  it('A client gets no events after the operator has forbidden it to receive them', async () => {
    const web = await listen('demo-web');
    const without: Config = {
      ...server.config,
      clients: server.config.clients.map(({ shared_signals: _, ...client }) => client),
    };
    await publish(without, event(alice ?? '', { type: 'account-disabled' }));
    assert.deepEqual(await heard(web), []);
  });

  it('The server pauses a stream if too many events wait or the receiver takes none for six days, and says so', async () => {
    const web = await listen('demo-web');
    await tell(alice, { type: 'account-disabled' });
    const store = await recordsOf(server);
    const key = `signal-queue:${web.stream}`;
    const queue = await store.get<object>(key);
    assert.ok(queue !== undefined);
    await store.set(key, { ...queue.value, waiting: 10_000 }, { ttl: 600 });
    await store.close();
    await tell(alice, { type: 'account-enabled' }, { type: 'account-enabled' });
    const status = async () => (await web.receiver.call('GET', `/ssf/status?stream_id=${web.stream}`)).body;
    const reason = 'too many events wait for the receiver';
    assert.deepEqual(await status(), { stream_id: web.stream, status: 'paused', reason });
    const [told] = await heard(web);
    assert.deepEqual([told?.type, told?.event], [STREAM_UPDATED, { status: 'paused', reason }]);
    await web.receiver.call('POST', '/ssf/status', { stream_id: web.stream, status: 'enabled' });
    assert.deepEqual(typesOf(await heard(web)), [ACCOUNT_DISABLED]);

    await tell(alice, { type: 'account-disabled' });
    travel(6 * 86_400 + 60);
    await tell(alice, { type: 'account-enabled' });
    web.receiver = await Receiver.of(server.issuer, 'demo-web');
    assert.equal((await status())['reason'], 'the receiver has taken no event for six days');
  });
});

describe('A transmitter with no default subjects', () => {
  it('The transmitter sends events only about accounts that the receiver has added', async () => {
    await using server = await startTestServer({ change: withSignals({ settings: { default_subjects: 'NONE' } }) });
    const receiver = await Receiver.of(server.issuer, 'watch');
    const stream = await receiver.stream({ events_requested: [ACCOUNT_DISABLED] });
    const [alice, admin] = [await accountId(server, 'alice@example.com'), await accountId(server, 'admin@example.com')];
    const subject = { format: 'iss_sub', iss: server.issuer, sub: admin };
    await receiver.call('POST', '/ssf/subjects/add', { stream_id: stream, subject });
    for (const account of [alice, admin]) await publish(server.config, event(account, { type: 'account-disabled' }));
    const { sets } = await receiver.poll(stream);
    const told = Object.values(sets).map((token) => decodeJwt<{ sub_id: { sub: string } }>(token).sub_id.sub);
    assert.deepEqual(told, [admin]);
  });

  it('A receiver with pairwise subjects gets and adds accounts only by the sub of its ID tokens', async () => {
    await using server = await startTestServer({
      change: withSignals({
        settings: { default_subjects: 'NONE' },
        clients: { 'demo-web': { subject_type: 'pairwise' } },
      }),
    });
    const receiver = await Receiver.of(server.issuer, 'demo-web');
    const stream = await receiver.stream({ events_requested: [ACCOUNT_DISABLED, SESSION_REVOKED] });
    const alice = await accountId(server, 'alice@example.com');
    const { id_token } = await tokensFor(server.issuer, { clientId: 'demo-web', parameters: { scope: 'openid' } });
    const name = String(decodeJwt(id_token ?? '').sub);
    const told = async (): Promise<unknown[]> => {
      await publish(server.config, event(alice, { type: 'account-disabled' }));
      const { sets } = await receiver.poll(stream);
      await receiver.poll(stream, { ack: Object.keys(sets), maxEvents: 0 });
      return Object.values(sets).map((token) => decodeJwt(token)['sub_id']);
    };
    const add = (sub: string): Promise<unknown> =>
        receiver.call('POST', '/ssf/subjects/add', { stream_id: stream, subject: { format: 'iss_sub', iss: server.issuer, sub } }); // prettier-ignore
    await add(alice);
    assert.deepEqual(await told(), []);
    await add(name);
    assert.deepEqual(await told(), [{ format: 'iss_sub', iss: server.issuer, sub: name }]);
    assert.notEqual(name, alice);
  });
});
