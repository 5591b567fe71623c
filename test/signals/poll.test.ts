import assert from 'node:assert/strict';
import { serverStores } from '../oidc/server-stores.ts';
import { recordsOf } from '../oidc/behind-the-server.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningBackend } from '../storage/backends.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import {
  accountId,
  POLL,
  publish,
  Receiver,
  SESSION_REVOKED,
  signOuts,
  startSecondNode,
  VERIFICATION,
  verifySet,
  withSignals,
} from './signals-setup.ts';

for (const backend of serverStores) {
  describe(`Poll delivery of shared signals by two nodes on ${backend.name}`, () => {
    let store: RunningBackend;
    let server: TestServer;
    let second: TestServer & { url: string };
    let alice: string;
    /** The same receiver at each of the nodes. */
    let [first, other]: Receiver[] = [];
    let stream: string;

    before(async () => {
      store = await backend.start();
      server = await startTestServer({ store: store.url, change: withSignals() });
      second = await startSecondNode(server, store.url, withSignals());
      alice = await accountId(server, 'alice@example.com');
    });

    after(async () => {
      await second.close();
      await server.close();
      await store.stop();
    });

    beforeEach(async () => {
      first = await Receiver.of(server.issuer, 'watch');
      other = await Receiver.of(server.issuer, 'watch', { base: second.url });
      stream = await first.stream({ delivery: { method: POLL }, events_requested: [SESSION_REVOKED] });
    });

    /** The sessions of some events, in order, each verified. */
    async function sessionsOf(sets: Record<string, string>): Promise<unknown[]> {
      const read = await Promise.all(Object.values(sets).map((token) => verifySet(server.issuer, token, 'watch')));
      assert.deepEqual(
        read.map(({ claims }) => claims.jti),
        Object.keys(sets),
      );
      return read.map(({ subject }) => (subject['session'] as { id: string }).id);
    }

    it('Both nodes return the same events in order until the receiver acknowledges them', async () => {
      assert.ok(first !== undefined && other !== undefined);
      await publish(server.config, ...signOuts(alice, 3));
      const all = await first.poll(stream);
      assert.deepEqual(await sessionsOf(all.sets), ['sid-0', 'sid-1', 'sid-2']);
      assert.equal(all.moreAvailable, false);
      const two = await other.poll(stream, { maxEvents: 2 });
      assert.deepEqual(await sessionsOf(two.sets), ['sid-0', 'sid-1']);
      assert.equal(two.moreAvailable, true);
      const ack = Object.keys(two.sets);
      const none = await first.poll(stream, { ack, maxEvents: 0 });
      assert.deepEqual(none, { sets: {}, moreAvailable: true });
      // The answer may have been lost: a second time it changes nothing.
      const rest = await other.poll(stream, { ack: [...ack, 'unknown', ...ack] });
      assert.deepEqual(await sessionsOf(rest.sets), ['sid-2']);
      assert.deepEqual(await first.poll(stream, { ack: Object.keys(rest.sets) }), { sets: {}, moreAvailable: false });
      const records = await recordsOf(server);
      const queue = await records.get<{ waiting: number; attempts: number }>(`signal-queue:${stream}`);
      await records.close();
      assert.deepEqual([queue?.value.waiting, queue?.value.attempts], [0, 0]);
    });

    it('Both nodes hold a poll request until one of them publishes an event', async () => {
      assert.ok(first !== undefined && other !== undefined);
      const held = [first, other].map((receiver) => receiver.poll(stream, { returnImmediately: false }));
      await publish(server.config, ...signOuts(alice, 1));
      for (const answer of await Promise.all(held)) assert.deepEqual(await sessionsOf(answer.sets), ['sid-0']);
    });

    it('A poll request whose connection was closed does not count against the limit', async () => {
      assert.ok(first !== undefined);
      const receiver = first;
      for (let turn = 0; turn < 4; turn += 1)
        await Promise.all(Array.from({ length: 40 }, (_, after) => receiver.leave(stream, after)));
      // A request that finds no place is answered at once.
      await until(async () => {
        const held = first?.poll(stream, { returnImmediately: false });
        const isHeld = (await Promise.race([held, sleep(300, 'held')])) === 'held';
        if (isHeld) await publish(server.config, ...signOuts(alice, 1));
        const sets = (await held)?.sets ?? {};
        await first?.poll(stream, { ack: Object.keys(sets) });
        return isHeld;
      }, 10_000);
    }).timeout(20_000);

    it('The server removes an event that the receiver reports as faulty', async () => {
      assert.ok(first !== undefined);
      await publish(server.config, ...signOuts(alice, 2));
      const { sets } = await first.poll(stream, { maxEvents: 1 });
      const setErrs = Object.fromEntries(Object.keys(sets).map((name) => [name, { err: 'invalid_request' }]));
      assert.deepEqual(await sessionsOf((await first.poll(stream, { setErrs })).sets), ['sid-1']);
    });

    it('A receiver cannot acknowledge events of another stream', async () => {
      assert.ok(first !== undefined);
      const mine = await first.stream({ events_requested: [SESSION_REVOKED] });
      await publish(server.config, ...signOuts(alice, 1));
      const { sets } = await first.poll(stream);
      await first.poll(mine, { ack: [...Object.keys(sets), `../${stream}:${Object.keys(sets)[0] ?? ''}`] });
      assert.deepEqual(await first.poll(stream), { sets, moreAvailable: false });
    });

    it('A paused stream returns no events, and returns all of them after it is enabled', async () => {
      assert.ok(first !== undefined);
      await first.call('POST', '/ssf/status', { stream_id: stream, status: 'paused' });
      await publish(server.config, ...signOuts(alice, 2));
      assert.deepEqual(await first.poll(stream), { sets: {}, moreAvailable: false });
      await first.call('POST', '/ssf/status', { stream_id: stream, status: 'enabled' });
      assert.deepEqual(await sessionsOf((await first.poll(stream)).sets), ['sid-0', 'sid-1']);
    });

    it('The verification event contains the state that the receiver chose', async () => {
      assert.ok(first !== undefined);
      const state = 'VGhpcyBpcyBhbiBleGFtcGxl ✓';
      assert.equal((await first.call('POST', '/ssf/verification', { stream_id: stream, state })).status, 204);
      const [token = ''] = Object.values((await first.poll(stream)).sets);
      const { type, event, subject, claims } = await verifySet(server.issuer, token, 'watch');
      assert.deepEqual([type, event], [VERIFICATION, { state }]);
      assert.deepEqual(subject, { format: 'opaque', id: stream });
      assert.equal(claims['txn'], undefined);
    });

    it('A node that stops answers the poll requests that it holds', async () => {
      const node = await startSecondNode(server, store.url, withSignals());
      const waiting = await Receiver.of(server.issuer, 'watch', { base: node.url });
      assert.ok(first !== undefined);
      await publish(server.config, ...signOuts(alice, 1));
      const ack = Object.keys((await first.poll(stream)).sets);
      const held = waiting.poll(stream, { ack, returnImmediately: false });
      // What it acknowledged is gone: it has arrived.
      const poll = first;
      await until(async () => Object.keys((await poll.poll(stream)).sets).length === 0);
      await node.close();
      assert.deepEqual(await held, { sets: {}, moreAvailable: false });
    });

    afterEach(async () => {
      await first?.call('DELETE', `/ssf/streams?stream_id=${stream}`);
    });
  });
}
