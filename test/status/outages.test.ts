import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { systemClock } from '../../src/lib/clock.ts';
import { revoker } from '../../src/status/revoker.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { tokenRequest } from '../support/flows.ts';
import { startRedis, type RedisOfTests } from '../support/redis.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { until } from '../support/until.ts';
import { EventReader } from './event-reader.ts';
import { isRevoked, placeOf } from './published-lists.ts';
import { startTwoNodes } from './two-nodes.ts';

/** What a store does that comes back from a copy of before there were any lists. */
async function forgetLists(url: string): Promise<void> {
  if (url.startsWith('sqlite:')) {
    const database = new DatabaseSync(url.slice('sqlite:'.length), { timeout: 5000 });
    database.exec("DELETE FROM bitmaps; DELETE FROM records WHERE key LIKE '%status-list:%'; DELETE FROM counters");
    database.close();
    return;
  }
  if (url.startsWith('postgres:')) {
    const client = new Client(url);
    await client.connect();
    await client.query(`
      DELETE FROM latchkey.bitmaps;
      DELETE FROM latchkey.records WHERE key LIKE '%status-list:%';
      DELETE FROM latchkey.counters`);
    await client.end();
    return;
  }
  const client = new Redis(url);
  for (const key of await client.keys('*status-*')) await client.del(key);
  client.disconnect();
}

for (const backend of serverStores) {
  describe(`A store on ${backend.name} that was restored from an older copy`, function () {
    this.timeout(60_000);

    it('The nodes restore the lost revocations, and no token gets the index of another', async () => {
      const two = await startTwoNodes(backend);
      const [revoked, live] = [placeOf(await two.machineToken()), placeOf(await two.machineToken())];
      await two.revoker.revokeToken(revoked);
      for (const origin of two.origins) await until(() => isRevoked(revoked, origin));
      await forgetLists(two.nodes[0].config.stores.grants);
      await until(async () => (await two.grants.members('status-lists')).keys.length > 0);
      await until(async () => !(await two.revoker.isRevoked(live)));
      assert.equal(await two.revoker.isRevoked(revoked), true);
      for (const origin of two.origins)
        assert.deepEqual(await Promise.all([revoked, live].map((place) => isRevoked(place, origin))), [true, false]);
      const after = placeOf(await two.machineToken());
      assert.ok(after.uri !== live.uri || after.idx !== live.idx);
      await two.stop();
    });

    it('The nodes allocate no more indexes in a lost list, even if it has no revocations', async () => {
      const two = await startTwoNodes(backend);
      try {
        const { uri } = placeOf(await two.machineToken());
        for (const origin of two.origins) await until(async () => (await fetch(origin + new URL(uri).pathname)).ok);
        await forgetLists(two.nodes[0].config.stores.grants);
        for (const origin of two.origins)
          await until(async () => placeOf(await two.machineToken(origin)).uri !== uri, 20_000);
      } finally {
        await two.stop();
      }
    });
  });
}

describe('An outage of the store with the status lists', function () {
  this.timeout(60_000);
  let redis: RedisOfTests;
  let server: TestServer;
  before(async () => {
    redis = await startRedis({ appendonly: true });
    server = await startTestServer({ store: redis.url });
  });
  after(async () => {
    await server.close();
    await redis.stop();
  });

  const ask = () =>
    tokenRequest(server.issuer, { grant_type: 'client_credentials' }, 'demo-service:demo-service-secret');

  it('During the outage, the server serves no list, issues no token and sends no event that lists are current', async () => {
    const place = placeOf((await ask()).body['access_token']);
    const reader = await EventReader.open(server.issuer);
    await reader.next('current');
    const url = redis.url;
    await redis.stop();
    await until(async () => (await fetch(place.uri)).status === 503);
    const refused = await fetch(place.uri);
    assert.ok(refused.headers.has('retry-after'));
    assert.equal((await fetch(`${server.issuer}/status`)).status, 503);
    assert.equal((await fetch(`${server.issuer}/status/events`)).status, 503);
    assert.equal((await ask()).status, 503);
    const said = reader.named('current').length;
    await until(async () => (await ask()).status === 503);
    assert.equal(reader.named('current').length, said);
    redis = await startRedis({ appendonly: true, port: Number(new URL(url).port) });
    await until(async () => (await fetch(place.uri)).status === 200);
    await reader.next('current');
    assert.equal(await isRevoked(place), false);
    reader.close();
  });

  it('A status query and a revocation fail with an error if the store is unreachable', async () => {
    const place = placeOf((await ask()).body['access_token']);
    const grants = await openStore(redis.url, systemClock);
    await grants.close();
    const command = revoker({ grants, clock: systemClock, issuer: server.issuer });
    await assert.rejects(command.isRevoked(place), { name: 'StoreUnavailable' });
    await assert.rejects(command.revokeToken(place), { name: 'StoreUnavailable' });
  });
});
