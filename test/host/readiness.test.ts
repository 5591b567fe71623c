import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { newPlace, startCommand, type Command, type Place } from '../durability/command.ts';
import { tokenRequest } from '../support/flows.ts';
import { command, startRedis, type RedisOfTests } from '../support/redis.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

async function readiness(issuer: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(`${issuer}/readyz`);
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

const becomes = (issuer: string, status: number) => until(async () => (await readiness(issuer)).status === status);

describe('/readyz', function () {
  this.timeout(120_000);

  describe('With Redis', () => {
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
    beforeEach(() => becomes(server.issuer, 200));

    const ask = (...words: string[]) =>
      command(Number(new URL(redis.url).port), (client) => client.call(words[0] ?? '', words.slice(1)));
    const machineToken = () =>
      tokenRequest(server.issuer, { grant_type: 'client_credentials' }, 'demo-service:demo-service-secret');

    it('The server is not ready while the memory of Redis is full, and issues and revokes no token', async () => {
      const { body } = await machineToken();
      await ask('CONFIG', 'SET', 'maxmemory', '1');
      try {
        await becomes(server.issuer, 503);
        const revocation = await fetch(`${server.issuer}/revoke`, {
          method: 'POST',
          headers: { authorization: `Basic ${btoa('demo-service:demo-service-secret')}` },
          body: new URLSearchParams({ token: String(body['access_token']) }),
        });
        assert.equal(revocation.status, 503);
        assert.equal((await machineToken()).status, 503);
      } finally {
        await ask('CONFIG', 'SET', 'maxmemory', '0');
      }
    });

    it('The server is not ready while Redis lacks the required replicas', async () => {
      await ask('CONFIG', 'SET', 'min-replicas-to-write', '1');
      try {
        await becomes(server.issuer, 503);
        assert.deepEqual((await readiness(server.issuer)).body, { status: 'store unavailable' });
      } finally {
        await ask('CONFIG', 'SET', 'min-replicas-to-write', '0');
      }
    });

    it('The server is not ready while Redis is a replica', async () => {
      await ask('REPLICAOF', '127.0.0.1', '1');
      try {
        await becomes(server.issuer, 503);
      } finally {
        await ask('REPLICAOF', 'NO', 'ONE');
      }
    });

    it('The readiness check writes at most once a second, however often it is called', async () => {
      const writes = async (): Promise<number> => {
        const facts = String(await ask('INFO', 'commandstats'));
        return Number(/cmdstat_evalsha:calls=(\d+)/.exec(facts)?.[1] ?? 0);
      };
      const before = await writes();
      const start = performance.now();
      for (let at = 0; at < 200; at += 1) await readiness(server.issuer);
      const seconds = (performance.now() - start) / 1000;
      // Of the other things that a server does each second, none is done a hundred times.
      assert.ok((await writes()) - before < 20 + 10 * seconds);
    });
  });

  it('The server is not ready while another process locks the SQLite file', async () => {
    await using server = await startTestServer();
    const database = new DatabaseSync(join(server.directory, 'store.db'));
    try {
      await becomes(server.issuer, 200);
      database.exec('BEGIN IMMEDIATE');
      await becomes(server.issuer, 503);
      database.exec('ROLLBACK');
      await becomes(server.issuer, 200);
    } finally {
      database.close();
    }
  });

  describe('A server as it ships', () => {
    let place: Place;
    let server: Command | undefined;
    afterEach(async () => {
      await server?.end('SIGKILL');
      await place.remove();
    });

    it('The readiness check reports that the grants were lost, and the log contains an error', async () => {
      const redis = await startRedis();
      try {
        place = await newPlace(redis.url);
        const records = `sqlite:${join(place.directory, 'records.db')}`;
        server = await startCommand(place, { LATCHKEY_RECORDS_STORE: records });
        await command(Number(new URL(redis.url).port), (client) => client.flushall());
        await until(async () => {
          const { status, body } = await readiness(place.issuer);
          return status === 200 && Array.isArray(body['lost']) && body['lost'][0] === 'grants';
        });
        const running = server;
        await until(() => running.output().includes('the store for grants has lost its data'));
      } finally {
        await redis.stop();
      }
    });

    it('The readiness check reports that the records were lost, until they are back', async () => {
      const redis = await startRedis({ appendonly: true });
      try {
        place = await newPlace(redis.url);
        server = await startCommand(place);
        const port = Number(new URL(redis.url).port);
        const shows = (body: object) =>
          until(async () => isDeepStrictEqual((await readiness(place.issuer)).body, { status: 'ready', ...body }));
        await command(port, (client) => client.rename('record:store-marker:main', 'aside'));
        await shows({ lost: ['records'] });
        const running = server;
        await until(() => running.output().includes('the store for records has lost its data'));
        await command(port, (client) => client.rename('aside', 'record:store-marker:main'));
        await shows({});
      } finally {
        await redis.stop();
      }
    });

    it('The server is not ready and issues no token after its file was deleted, and the log says what to do', async () => {
      place = await newPlace();
      server = await startCommand(place);
      const client = `demo-service:demo-service-secret`;
      const issue = () => tokenRequest(place.issuer, { grant_type: 'client_credentials' }, client);
      assert.equal((await issue()).status, 200);
      rmSync(join(place.directory, 'store.db'));
      assert.equal((await issue()).status, 503, 'at once');
      await becomes(place.issuer, 503);
      const running = server;
      await until(() => /removed or replaced.*stop every server/.test(running.output()));
    });
  });
});
