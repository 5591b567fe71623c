import assert from 'node:assert/strict';
import { Client } from 'pg';
import { systemClock } from '../../src/lib/clock.ts';
import { checkGrantsStore, openStore } from '../../src/storage/open-store.ts';
import { postgres, type Backend } from '../storage/backends.ts';
import { concurrency } from '../storage/concurrency.ts';
import { conformance } from '../storage/conformance.ts';
import { startPgBouncer } from '../support/pgbouncer.ts';

const pooled: Backend = {
  name: 'PostgreSQL behind PgBouncer',
  start: async () => {
    const server = await postgres.start();
    const pooler = await startPgBouncer(server.url);
    return {
      url: pooler.url,
      stop: async () => {
        await pooler.stop();
        await server.stop();
      },
    };
  },
};

describe(`The store on ${pooled.name} in transaction mode`, () => {
  conformance(pooled);
});

describe(`Two processes on one ${pooled.name} in transaction mode`, () => {
  concurrency(pooled);
});

describe('A node on PostgreSQL behind PgBouncer', () => {
  it('A node behind PgBouncer leaves no setting and no prepared statement in a shared session', async () => {
    const running = await pooled.start();
    const store = await openStore(running.url, systemClock);
    try {
      await Promise.all(Array.from({ length: 100 }, (_, at) => store.set(`record:${at}`, at)));
      const client = new Client({ connectionString: running.url.replace(/\?.*/, '') });
      await client.connect();
      const { rows } = await client.query(`
        SELECT current_setting('statement_timeout') AS statements, current_setting('lock_timeout') AS locks,
          (SELECT count(*)::integer FROM pg_prepared_statements) AS prepared`);
      await client.end();
      assert.deepEqual(rows, [{ statements: '0', locks: '0', prepared: 0 }]);
      const [warning, ...others] = await checkGrantsStore(running.url, store);
      assert.match(warning ?? '', /ALTER ROLE "\w+" SET statement_timeout = '2s'/);
      assert.deepEqual(others, []);
    } finally {
      await store.close();
      await running.stop();
    }
  });
});
