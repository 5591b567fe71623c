import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { systemClock } from '../../src/lib/clock.ts';
import type { AccountId } from '../../src/lib/ids.ts';
import { openStores } from '../../src/storage/open-stores.ts';
import { serverStores } from '../oidc/server-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { domainOn } from '../support/domain.ts';
import { tokensFor } from '../support/flows.ts';
import { newPlace, type Place } from '../durability/command.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { startSignalReceiver, type SignalReceiver } from './signal-receiver.ts';
import {
  accountId,
  ACCOUNT_DISABLED,
  PUSH,
  Receiver,
  SESSION_REVOKED,
  verifySet,
  withSignals,
} from './signals-setup.ts';

for (const backend of serverStores) {
  describe(`Pending signals after kill -9 of a node on ${backend.name}`, () => {
    let store: RunningBackend;
    let place: Place;
    let receiver: SignalReceiver;
    let child: ChildProcess | undefined;
    let server: TestServer | undefined;

    before(async () => {
      store = await backend.start();
      place = await newPlace(store.url);
      receiver = await startSignalReceiver();
    });

    afterEach(async () => {
      returnToPresent();
      await kill();
      await server?.close();
      server = undefined;
      receiver.answerWith({ status: 202 });
      receiver.arrived.length = 0;
    });

    after(async () => {
      await receiver.close();
      await place.remove();
      await store.stop();
    });

    async function startNode(): Promise<void> {
      const node = { directory: place.directory, issuer: place.issuer, store: store.url, allow: [receiver.host] };
      child = fork(join(import.meta.dirname, 'node.ts'), [JSON.stringify(node)]);
      await once(child, 'message');
    }

    async function kill(): Promise<void> {
      if (child === undefined) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      child = undefined;
    }

    /** The next node, in this process. */
    async function startHere(): Promise<TestServer> {
      const change = withSignals({ allow: [receiver.host] });
      server = await startTestServer({ sameAs: place, store: store.url, change });
      return server;
    }

    async function openStream(): Promise<void> {
      const manager = await Receiver.of(place.issuer, 'watch');
      const events = [SESSION_REVOKED, ACCOUNT_DISABLED];
      await manager.stream({ delivery: { method: PUSH, endpoint_url: receiver.url }, events_requested: events });
    }

    it('The next node sends the event of a sign-out that a killed node had answered', async () => {
      await startNode();
      await openStream();
      receiver.answerWith({ status: 503 });
      const browser = new Browser();
      const { id_token } = await tokensFor(place.issuer, { browser });
      await browser.visit(`${place.issuer}/logout?id_token_hint=${id_token ?? ''}`);
      await kill();
      const before = receiver.arrived.map(({ token }) => decodeJwt(token).jti);
      receiver.answerWith({ status: 202 });
      // The dead node may have been pushing, and has the stream to itself for as long as that could take.
      travel(11);
      const { issuer } = await startHere();
      await receiver.whenArrived(before.length + 1);
      const { claims, type, subject } = await verifySet(issuer, receiver.arrived.at(-1)?.token ?? '', 'watch');
      assert.equal(type, SESSION_REVOKED);
      assert.deepEqual(subject['session'], { format: 'opaque', id: decodeJwt(id_token ?? '')['sid'] });
      assert.ok(before.every((name) => name === claims.jti));
    });

    it('The next node sends the events of a revocation that happened while no node ran', async () => {
      const config = { ...(await startHere()).config };
      await Receiver.of(place.issuer, 'watch').then(async (manager) => {
        const { body } = await manager.call('GET', '/ssf/streams');
        assert.equal((body as unknown as unknown[]).length, 1);
      });
      const alice = (await accountId(server ?? assert.fail(), 'alice@example.com')) as AccountId;
      await server?.close();
      server = undefined;
      const stores = await openStores(config.stores, systemClock);
      await domainOn(stores, config).operations.disableAccount(alice);
      await stores.close();
      assert.deepEqual(receiver.arrived, []);
      // Ahead of where the test before this one has left the clock of the stream.
      travel(30);
      const { issuer } = await startHere();
      await receiver.whenArrived(2);
      const told = await Promise.all(receiver.arrived.map(({ token }) => verifySet(issuer, token, 'watch')));
      assert.deepEqual(new Set(told.map(({ type }) => type)), new Set([SESSION_REVOKED, ACCOUNT_DISABLED]));
    });
  });
}
