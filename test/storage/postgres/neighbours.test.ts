import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../../src/lib/clock.ts';
import { checkGrantsStore, openStore } from '../../../src/storage/open-store.ts';
import { startPostgres, type PostgresOfTests } from '../../support/postgres.ts';
import { startPgBouncer } from '../../support/pgbouncer.ts';
import { until } from '../../support/until.ts';

/** Every role of a server may connect to a database by default, and could create in `public` up to PostgreSQL 14. */
describe('Other roles in the database of a PostgreSQL store', () => {
  let server: PostgresOfTests;

  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  const databaseOf = (url: string): string => new URL(url).pathname.slice(1);

  /** Makes a function in the place of PostgreSQL's own. @returns whether somebody has run it */
  async function trapIn(database: string): Promise<() => Promise<unknown>> {
    await server.sql(
      `GRANT CREATE ON SCHEMA public TO PUBLIC;
       CREATE SEQUENCE public.sprung; GRANT USAGE ON SEQUENCE public.sprung TO PUBLIC;
       CREATE FUNCTION public.unnest(given text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
       BEGIN
         PERFORM nextval('public.sprung');
         RETURN QUERY SELECT pg_catalog.unnest(given);
       END $$`,
      database,
    );
    return async () => (await server.sql('SELECT is_called FROM public.sprung', database))[0]?.['is_called'];
  }

  it('A malformed notice from another database role does not stop the nodes', async () => {
    const url = await server.newDatabase();
    const store = await openStore(url, systemClock);
    const errors: unknown[] = [];
    const catchError = (error: unknown): void => void errors.push(error);
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', catchError);
    try {
      const heard: string[] = [];
      await store.subscribe('channel', (message) => heard.push(message));
      for (const payload of [
        '{',
        'null',
        '[]',
        '[{"toString":1,"valueOf":1}]',
        '["channel",{"toString":1}]',
        '["channel"]',
      ])
        await server.sql(`SELECT pg_notify('latchkey:latchkey', '${payload}')`, databaseOf(url));
      await store.publish('channel', 'ours');
      await until(() => heard.includes('ours'));
      await sleep(50);
      assert.deepEqual([errors, heard], [[], ['ours']]);
    } finally {
      process.removeListener('uncaughtException', catchError);
      for (const listener of others) process.on('uncaughtException', listener);
      await store.close();
    }
  });

  it('Another database role cannot make the store call its function by a name that the store uses', async () => {
    const url = await server.newDatabase();
    const sprung = await trapIn(databaseOf(url));
    const store = await openStore(url, systemClock);
    try {
      await store.set('record:1', 1, { indexes: ['index:1'] });
      assert.equal((await store.get<number>('record:1'))?.value, 1);
      assert.equal(await sprung(), false);
      assert.deepEqual(await checkGrantsStore(url, store), []);
    } finally {
      await store.close();
    }
  });

  it('Another database role cannot trap a store behind a pooler after the operator has followed the warning', async () => {
    const direct = await server.newDatabase();
    const database = databaseOf(direct);
    const sprung = await trapIn(database);
    const bouncer = await startPgBouncer(direct);
    const warnings = async (): Promise<string> => {
      const store = await openStore(bouncer.url, systemClock);
      try {
        await store.get('record:1');
        return (await checkGrantsStore(bouncer.url, store)).join('\n');
      } finally {
        await store.close();
      }
    };
    try {
      const fix = `ALTER ROLE "${database}" SET search_path = pg_catalog`;
      assert.ok((await warnings()).includes(fix));
      assert.equal(await sprung(), true);
      await server.sql(`${fix}; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${database}'`);
      await server.sql('ALTER SEQUENCE public.sprung RESTART', database);
      assert.ok(!(await warnings()).includes('search_path'));
      assert.equal(await sprung(), false);
    } finally {
      await bouncer.stop();
    }
  });
});
