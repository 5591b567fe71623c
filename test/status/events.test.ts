import assert from 'node:assert/strict';
import { systemClock } from '../../src/lib/clock.ts';
import { LISTS_CHANGED, markBits } from '../../src/status/bit-store.ts';
import { listNamed, type StatusList } from '../../src/status/lists.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { startTestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { EventReader } from './event-reader.ts';
import { placeOf } from './published-lists.ts';
import { startTwoNodes, type TwoNodes } from './two-nodes.ts';

function listAt(uri: string): StatusList {
  return listNamed(uri.split('/').at(-1) ?? '') ?? assert.fail(uri);
}

for (const backend of serverStores) {
  describe(`The status events of two nodes on ${backend.name}`, function () {
    this.timeout(60_000);
    let two: TwoNodes;
    let readers: EventReader[];
    before(async () => {
      two = await startTwoNodes(backend);
    });
    after(() => two.stop());
    beforeEach(async () => {
      await two.machineToken();
      readers = await Promise.all(two.origins.map((origin) => EventReader.open(origin)));
    });
    afterEach(() => {
      for (const reader of readers) reader.close();
    });

    it('The event stream of both nodes begins with the same version of each list', async () => {
      const { uri } = placeOf(await two.machineToken());
      for (const { response } of readers) {
        assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
        assert.equal(response.headers.get('access-control-allow-origin'), '*');
      }
      await until(() => readers.every(({ events }) => events.length > 0));
      const [one, other] = readers.map(({ events }) => events[0]);
      assert.equal(one?.name, 'lists');
      assert.equal(typeof one.data.lists?.[uri], 'number');
      assert.deepEqual(other, one);
    });

    it('Both nodes report a revocation within a second, and the version of the list changes', async () => {
      const place = placeOf(await two.machineToken());
      const told = readers.map((reader) => reader.next('revoked', 1000));
      await two.revoker.revokeToken(place);
      for (const { data } of await Promise.all(told)) assert.deepEqual(data, { uri: place.uri, idx: [place.idx] });
      const later = await EventReader.open(two.issuer);
      await until(() => later.events.length > 0);
      assert.notEqual(later.events[0]?.data.lists?.[place.uri], readers[0]?.events[0]?.data.lists?.[place.uri]);
      later.close();
    });

    it('Both nodes report a revocation even if the notice is lost', async () => {
      const place = placeOf(await two.machineToken());
      const told = readers.map((reader) => reader.next('revoked', 2000));
      await markBits({ grants: two.grants, clock: systemClock }, listAt(place.uri), [place.idx]);
      for (const { data } of await Promise.all(told)) assert.deepEqual(data.idx, [place.idx]);
    });

    it('The event names only the list if very many tokens were revoked', async () => {
      const { uri } = placeOf(await two.machineToken());
      const many = Array.from({ length: 1001 }, (_, at) => 900_000 + at);
      const told = readers.map((reader) => reader.next('changed'));
      await markBits({ grants: two.grants, clock: systemClock }, listAt(uri), many);
      await two.grants.publish(LISTS_CHANGED, '');
      for (const { data } of await Promise.all(told)) assert.deepEqual(data, { uri });
    });

    it('Each node sends an event every second that its lists are current', async () => {
      for (const reader of readers) {
        await reader.next('current', 2500);
        await reader.next('current', 2500);
      }
    });
  });
}

describe('A stream of events', function () {
  this.timeout(60_000);

  it('The event stream reports that the signing keys have changed', async () => {
    await using server = await startTestServer({
      change: (config) => ({
        ...config,
        keys: { ...config.keys, algorithms: ['ES256'], sign: 1, announce: 4, clock_skew: 2, jwks_max_age: 1 },
      }),
    });
    const reader = await EventReader.open(server.issuer);
    await reader.next('keys', 8000);
    reader.close();
  });

  it('The event stream ends at once when the server stops, so that the server need not wait', async () => {
    await using server = await startTestServer();
    const reader = await EventReader.open(server.issuer);
    await until(() => reader.events.length > 0);
    await Promise.all([server.close(), reader.ended]);
  });

  it('One address can open 32 event streams, and the server answers 503 to the next', async () => {
    await using server = await startTestServer();
    const readers = await Promise.all(Array.from({ length: 32 }, () => EventReader.open(server.issuer)));
    const refused = await fetch(`${server.issuer}/status/events`);
    assert.equal(refused.status, 503);
    assert.ok(refused.headers.has('retry-after'));
    await refused.body?.cancel();
    readers[0]?.close();
    await until(async () => {
      const again = await EventReader.open(server.issuer);
      again.close();
      return again.response.status === 200;
    });
    for (const reader of readers) reader.close();
  });
});
