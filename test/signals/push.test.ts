import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { Outbox } from '../../src/signals/outbox.ts';
import { openStreams } from '../../src/signals/streams.ts';
import { openStores } from '../../src/storage/open-stores.ts';
import { serverStores } from '../oidc/server-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { until } from '../support/until.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { startSignalReceiver, type SignalReceiver } from './signal-receiver.ts';
import {
  accountId,
  ACCOUNT_DISABLED,
  publish,
  PUSH,
  Receiver,
  SESSION_REVOKED,
  signOuts,
  startSecondNode,
  VERIFICATION,
  verifySet,
  withSignals,
} from './signals-setup.ts';

for (const backend of serverStores) {
  describe(`Push delivery of shared signals by two nodes on ${backend.name}`, () => {
    let store: RunningBackend;
    let receiver: SignalReceiver;
    let dead: SignalReceiver;
    let server: TestServer;
    let second: TestServer;
    let alice: string;
    let manager: Receiver;
    let stream: string;

    before(async () => {
      store = await backend.start();
      [receiver, dead] = [await startSignalReceiver(), await startSignalReceiver()];
      const change = withSignals({ allow: [receiver.host, dead.host] });
      server = await startTestServer({ store: store.url, change });
      second = await startSecondNode(server, store.url, change);
      alice = await accountId(server, 'alice@example.com');
      manager = await Receiver.of(server.issuer, 'watch');
    });

    after(async () => {
      await second.close();
      await server.close();
      await receiver.close();
      await dead.close();
      await store.stop();
    });

    beforeEach(async () => {
      receiver.answerWith({ status: 202 });
      receiver.arrived.length = 0;
      const delivery = { method: PUSH, endpoint_url: receiver.url, authorization_header: 'Bearer of-the-receiver' };
      stream = await manager.stream({ delivery, events_requested: [SESSION_REVOKED, ACCOUNT_DISABLED] });
    });

    afterEach(async () => {
      await manager.call('DELETE', `/ssf/streams?stream_id=${stream}`);
    });

    /** What came, each by its session or its event. */
    const came = (): unknown[] =>
      receiver.arrived.map(({ token }) => {
        const { sub_id: subject } = decodeJwt<{ sub_id: { session?: { id: string }; id?: string } }>(token);
        return subject.session?.id ?? subject.id;
      });

    it('The server pushes a signed security event token with the receiver’s authorization header', async () => {
      const [happened = assert.fail()] = signOuts(alice, 1);
      await publish(server.config, happened);
      await receiver.whenArrived(1);
      const { token = '', headers = {} } = receiver.arrived[0] ?? {};
      assert.equal(headers['content-type'], 'application/secevent+jwt');
      assert.equal(headers['accept'], 'application/json');
      assert.equal(headers['authorization'], 'Bearer of-the-receiver');
      const { header, claims, type, event, subject } = await verifySet(server.issuer, token, 'watch');
      assert.equal(header.alg, 'RS256');
      assert.deepEqual([claims.sub, claims.exp, claims['txn']], [undefined, undefined, happened.id]);
      assert.equal(type, SESSION_REVOKED);
      assert.deepEqual(subject, {
        format: 'complex',
        user: { format: 'iss_sub', iss: server.issuer, sub: alice },
        session: { format: 'opaque', id: 'sid-0' },
      });
      assert.deepEqual(event, {
        event_timestamp: Math.floor(happened.at / 1000),
        initiating_entity: 'user',
        reason_admin: { en: 'The person signed out' },
      });
    });

    it('The server sends the authorization header to no other URL, even if the stored URL was changed', async () => {
      const stores = await openStores(server.config.stores, systemClock);
      const streams = openStreams({ ...stores, clock: systemClock, random: systemRandom });
      const redirect = (endpoint_url: string) =>
        streams.change(stream, (now) => ({ ...now, delivery: { ...now.delivery, method: PUSH, endpoint_url } }));
      await redirect(dead.url);
      await publish(server.config, ...signOuts(alice, 1));
      const outbox = new Outbox({ ...stores, clock: systemClock });
      await until(async () => ((await outbox.queueOf(stream))?.attempts ?? 0) > 0);
      await redirect(receiver.url);
      await receiver.whenArrived(1);
      assert.equal(receiver.arrived[0]?.headers['authorization'], 'Bearer of-the-receiver');
      assert.deepEqual(dead.arrived, []);
      await stores.close();
    });

    it('Two nodes push many events in order, and each event once', async () => {
      const happened = signOuts(alice, 20);
      await publish(server.config, ...happened);
      await receiver.whenArrived(20);
      // A round of its own, in which whatever is left would come.
      await manager.call('POST', '/ssf/verification', { stream_id: stream });
      await receiver.whenArrived(21);
      assert.deepEqual(came(), [...happened.map((_, at) => `sid-${at}`), stream]);
    });

    it('A stream contains an event only once, even if it is published twice', async () => {
      const [happened = assert.fail()] = signOuts(alice, 1);
      await Promise.all([publish(server.config, happened), publish(server.config, happened)]);
      await receiver.whenArrived(1);
      await publish(server.config, happened);
      await manager.call('POST', '/ssf/verification', { stream_id: stream });
      await receiver.whenArrived(2);
      assert.deepEqual(came(), ['sid-0', stream]);
    });

    it('After an outage, the server pushes the same events in the same order, and all of them', async () => {
      receiver.answerWith({ status: 503 });
      await publish(server.config, ...signOuts(alice, 3));
      await receiver.whenArrived(1);
      receiver.answerWith({ status: 202 });
      const failed = receiver.arrived.length;
      await receiver.whenArrived(failed + 3);
      assert.deepEqual(new Set(came().slice(0, failed)), new Set(['sid-0']));
      assert.deepEqual(came().slice(failed), ['sid-0', 'sid-1', 'sid-2']);
      const names = receiver.arrived.map(({ token }) => decodeJwt(token).jti);
      assert.equal(new Set(names).size, 3);
      assert.equal(names[0], names[failed]);
    });

    it('The server drops an event that the receiver calls invalid, and pushes the next one (RFC 8935 §2.4)', async () => {
      receiver.answerWith((token) =>
        token.split('.')[1] !== undefined && JSON.stringify(decodeJwt(token)).includes('sid-0')
          ? { status: 400, body: { err: 'invalid_request', description: 'no such session' } }
          : { status: 202 },
      );
      await publish(server.config, ...signOuts(alice, 2));
      await receiver.whenArrived(2);
      await manager.call('POST', '/ssf/verification', { stream_id: stream });
      await receiver.whenArrived(3);
      assert.deepEqual(came(), ['sid-0', 'sid-1', stream]);
    });

    it('The server repeats a push if the receiver refuses the key', async () => {
      receiver.answerWith({ status: 400, body: { err: 'invalid_key', description: 'not in my cache' } });
      await publish(server.config, ...signOuts(alice, 1));
      await receiver.whenArrived(1);
      receiver.answerWith({ status: 202 });
      await receiver.whenArrived(2);
      assert.deepEqual(came(), ['sid-0', 'sid-0']);
    });

    it('A receiver that fails does not delay another receiver’s events', async () => {
      dead.answerWith({ status: 500 });
      const delivery = { method: PUSH, endpoint_url: dead.url };
      const other = await manager.stream({ delivery, events_requested: [SESSION_REVOKED] });
      await publish(server.config, ...signOuts(alice, 2));
      await receiver.whenArrived(2);
      await dead.whenArrived(1);
      assert.deepEqual(came(), ['sid-0', 'sid-1']);
      await manager.call('DELETE', `/ssf/streams?stream_id=${other}`);
    });

    it('A paused stream keeps its events, and pushes them after it is enabled', async () => {
      const paused = { stream_id: stream, status: 'paused', reason: 'maintenance' };
      assert.deepEqual((await manager.call('POST', '/ssf/status', paused)).body, paused);
      assert.deepEqual((await manager.call('GET', `/ssf/status?stream_id=${stream}`)).body, paused);
      await publish(server.config, ...signOuts(alice, 2));
      const other = await manager.stream({ delivery: { method: PUSH, endpoint_url: dead.url } });
      dead.answerWith({ status: 202 });
      const before = dead.arrived.length;
      await manager.call('POST', '/ssf/verification', { stream_id: other });
      await dead.whenArrived(before + 1);
      assert.deepEqual(came(), []);
      await manager.call('POST', '/ssf/status', { stream_id: stream, status: 'enabled' });
      await receiver.whenArrived(2);
      assert.deepEqual(came(), ['sid-0', 'sid-1']);
      await manager.call('DELETE', `/ssf/streams?stream_id=${other}`);
    });

    it('A disabled stream loses its pending events, and keeps none from then on', async () => {
      await manager.call('POST', '/ssf/status', { stream_id: stream, status: 'paused' });
      await publish(server.config, ...signOuts(alice, 1));
      await manager.call('POST', '/ssf/status', { stream_id: stream, status: 'disabled' });
      await publish(server.config, ...signOuts(alice, 1));
      await manager.call('POST', '/ssf/status', { stream_id: stream, status: 'enabled' });
      const verified = await manager.call('POST', '/ssf/verification', { stream_id: stream, state: 'again' });
      assert.equal(verified.status, 204);
      await receiver.whenArrived(1);
      const { type, event, subject } = await verifySet(server.issuer, receiver.arrived[0]?.token ?? '', 'watch');
      assert.deepEqual([type, event, subject], [VERIFICATION, { state: 'again' }, { format: 'opaque', id: stream }]);
    });

    it('The server pushes to the stream’s current URL, and does not send it the former authorization header', async () => {
      dead.answerWith({ status: 202 });
      const before = dead.arrived.length;
      await manager.call('POST', '/ssf/status', { stream_id: stream, status: 'paused' });
      await publish(server.config, ...signOuts(alice, 1));
      const delivery = { method: PUSH, endpoint_url: dead.url };
      assert.equal((await manager.call('PATCH', '/ssf/streams', { stream_id: stream, delivery })).status, 200);
      await manager.call('POST', '/ssf/status', { stream_id: stream, status: 'enabled' });
      await dead.whenArrived(before + 1);
      assert.equal(dead.arrived.at(-1)?.headers['authorization'], undefined);
      assert.deepEqual(came(), []);
    });
  });
}
