import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import { systemClock } from '../../src/lib/clock.ts';
import { Outbox } from '../../src/signals/outbox.ts';
import { openStores, type Stores } from '../../src/storage/open-stores.ts';
import { newPlace, type Place } from '../durability/command.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { startSignalReceiver, type PushAnswer, type SignalReceiver } from './signal-receiver.ts';
import {
  accountId,
  publish,
  PUSH,
  Receiver,
  SESSION_REVOKED,
  signOuts,
  startSecondNode,
  withSignals,
} from './signals-setup.ts';

const TAKEN: PushAnswer = { status: 202 };
/** Seconds after which the lease of a node that is gone has ended. */
const LEASE = 11;

for (const backend of serverStores) {
  describe(`The lease of a node that pushes a stream, on ${backend.name}`, function () {
    this.timeout(180_000);
    let place: Place;
    let receiver: SignalReceiver;
    let other: SignalReceiver;
    let change: ReturnType<typeof withSignals>;
    let stores: Stores;
    let outbox: Outbox;
    /** Closes what the test has opened, in reverse. */
    let closers: (() => Promise<unknown>)[];

    beforeEach(async () => {
      closers = [];
      const store = await backend.start();
      closers.push(() => store.stop());
      place = await newPlace(store.url);
      closers.push(() => place.remove());
      [receiver, other] = [await startSignalReceiver(), await startSignalReceiver()];
      closers.push(
        () => receiver.close(),
        () => other.close(),
      );
      change = withSignals({ allow: [receiver.host, other.host] });
    });
    afterEach(async () => {
      returnToPresent();
      for (const close of closers.toReversed()) await close();
    });

    /** @returns the way to end it */
    function closing(close: () => Promise<unknown>): () => Promise<unknown> {
      let closed: Promise<unknown> | undefined;
      const once = () => (closed ??= close());
      closers.push(once);
      return once;
    }

    /** A node in this process. */
    async function startFirst(): Promise<{ server: TestServer; stop: () => Promise<unknown> }> {
      const server = await startTestServer({ sameAs: place, store: place.store, change });
      return { server, stop: closing(() => server.close()) };
    }

    /** A node in a process of its own. @returns the way to kill it */
    async function forkFirst(): Promise<() => Promise<unknown>> {
      const { directory, issuer, store } = place;
      const node = { directory, issuer, store, allow: [receiver.host, other.host] };
      const child = fork(join(import.meta.dirname, 'node.ts'), [JSON.stringify(node)]);
      const ended = once(child, 'exit');
      const kill = closing(async () => {
        child.kill('SIGKILL');
        await ended;
      });
      await once(child, 'message');
      return kill;
    }

    async function startSecond(): Promise<TestServer> {
      const second = await startSecondNode(place, place.store, change);
      closers.push(() => second.close());
      return second;
    }

    async function watch({ config }: TestServer): Promise<void> {
      stores = await openStores(config.stores, systemClock);
      closers.push(() => stores.close());
      outbox = new Outbox({ ...stores, clock: systemClock });
    }

    const manager = (): Promise<Receiver> => Receiver.of(place.issuer, 'watch');

    /** Opens a stream whose pushes have an authorization header of their own. */
    async function openStream(header: string, url = receiver.url): Promise<string> {
      const delivery = { method: PUSH, endpoint_url: url, authorization_header: header };
      return (await manager()).stream({ delivery, events_requested: [SESSION_REVOKED] });
    }

    async function setStatus(stream: string, status: 'enabled' | 'paused'): Promise<void> {
      const answer = await (await manager()).call('POST', '/ssf/status', { stream_id: stream, status });
      assert.equal(answer.status, 200);
    }

    const hasNoOwner = async (stream: string): Promise<boolean> => (await outbox.queueOf(stream))?.owner === undefined;

    const sidOf = (token: string): string | undefined =>
      decodeJwt<{ sub_id: { session?: { id: string } } }>(token).sub_id.session?.id;
    const sids = (count: number): string[] => Array.from({ length: count }, (_, at) => `sid-${at}`);
    const acceptedOf = (header: string): unknown[] =>
      receiver.arrived
        .filter(({ status, headers }) => status === 202 && headers['authorization'] === header)
        .map(({ token }) => sidOf(token));

    it('The lease of a killed node runs out, and then the other node starts with the event of the interrupted push', async () => {
      const { server, stop } = await startFirst();
      await watch(server);
      const alice = await accountId(server, 'alice@example.com');
      const stream = await openStream('one');
      const looked = await openStream('two', other.url);
      await stop();
      const kill = await forkFirst();
      const gate: PromiseWithResolvers<PushAnswer> = Promise.withResolvers();
      const begun: { name: string | undefined; at: number }[] = [];
      receiver.answerWith((token) => {
        begun.push({ name: decodeJwt(token).jti, at: Date.now() });
        return begun.length === 1 ? gate.promise : TAKEN;
      });
      await publish(server.config, ...signOuts(alice, 3));
      await other.whenArrived(3);
      await until(() => hasNoOwner(looked));
      await until(() => begun.length === 1);
      await kill();
      const { owner, dueAt = Infinity } = (await outbox.queueOf(stream)) ?? {};
      assert.match(owner ?? '', /./, 'the dead node still has the lease');
      await publish(server.config, ...signOuts(alice, 1));
      await startSecond();
      // The push of the second stream shows that the node has looked for work.
      await other.whenArrived(4);
      travel(LEASE);
      await until(() => acceptedOf('one').length === 4);
      assert.deepEqual(acceptedOf('one'), [...sids(3), 'sid-0']);
      assert.equal(begun[1]?.name, begun[0]?.name);
      assert.ok((begun[1]?.at ?? 0) >= dueAt, 'the lease had not ended');
      await until(() => hasNoOwner(stream));
      gate.resolve(TAKEN);
    });

    it('A node that stops releases its lease, and the other node continues without repeating an event', async () => {
      const { server, stop } = await startFirst();
      await watch(server);
      const alice = await accountId(server, 'alice@example.com');
      const stream = await openStream('one');
      await setStatus(stream, 'paused');
      await publish(server.config, ...signOuts(alice, 150));
      let isSlow = true;
      receiver.answerWith(async () => {
        if (isSlow) await sleep(100);
        return TAKEN;
      });
      await setStatus(stream, 'enabled');
      await until(() => acceptedOf('one').length >= 2);
      await stop();
      const sent = acceptedOf('one').length;
      assert.ok(sent < 150, 'the node was stopped too late');
      const { owner, dueAt = Infinity } = (await outbox.queueOf(stream)) ?? {};
      assert.deepEqual([owner, dueAt <= Date.now()], [undefined, true]);
      isSlow = false;
      await startSecond();
      await until(() => acceptedOf('one').length >= 150);
      await until(() => hasNoOwner(stream));
      assert.deepEqual(acceptedOf('one'), sids(150));
    });

    it('A node keeps its lease while the receiver resumes the stream, so that no event is sent twice', async () => {
      const { server } = await startFirst();
      await startSecond();
      await watch(server);
      const alice = await accountId(server, 'alice@example.com');
      const stream = await openStream('one');
      const gate: PromiseWithResolvers<PushAnswer> = Promise.withResolvers();
      let begun = 0;
      receiver.answerWith(() => {
        begun += 1;
        return begun === 1 ? gate.promise : TAKEN;
      });
      await publish(server.config, ...signOuts(alice, 2));
      await until(() => begun === 1);
      await setStatus(stream, 'enabled');
      const { owner, dueAt = 0 } = (await outbox.queueOf(stream)) ?? {};
      assert.deepEqual([owner === undefined, dueAt > Date.now()], [false, true], 'another node may claim it');
      gate.resolve(TAKEN);
      await until(() => acceptedOf('one').length >= 2);
      await (await manager()).call('POST', '/ssf/verification', { stream_id: stream });
      await until(() => acceptedOf('one').length >= 3);
      assert.deepEqual(acceptedOf('one'), ['sid-0', 'sid-1', undefined]);
      assert.equal(begun, 3);
    });

    it('Two nodes keep the order of three streams, even if pushes fail', async () => {
      const { server } = await startFirst();
      await startSecond();
      await watch(server);
      const alice = await accountId(server, 'alice@example.com');
      const headers = ['one', 'two', 'three'];
      const streams = await Promise.all(headers.map((header) => openStream(header)));
      const failed = new Set<string>();
      receiver.answerWith((token) => {
        const { jti = '' } = decodeJwt(token);
        if (failed.has(jti) || !/[13]$/.test(sidOf(token) ?? '')) return TAKEN;
        failed.add(jti);
        return { status: 503 };
      });
      await publish(server.config, ...signOuts(alice, 5));
      for (const header of headers) await until(() => acceptedOf(header).length >= 5);
      for (const stream of streams) await until(() => hasNoOwner(stream));
      for (const header of headers) assert.deepEqual(acceptedOf(header), sids(5), header);
      assert.equal(failed.size, 6);
      for (const stream of streams) {
        const { attempts, waiting } = (await outbox.queueOf(stream)) ?? {};
        assert.deepEqual({ attempts, waiting }, { attempts: 0, waiting: 0 });
      }
      assert.deepEqual((await stores.grants.members('signal-queues')).keys, []);
    });
  });
}
