import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../../src/lib/clock.ts';
import { openStore } from '../../../src/storage/open-store.ts';
import { startPostgres, type PostgresOfTests } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';

/** Every role of a server may connect to a database by default, and could create in `public` up to PostgreSQL 14. */
describe('Another role in the database of a PostgreSQL store', () => {
  let server: PostgresOfTests;

  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  const databaseOf = (url: string): string => new URL(url).pathname.slice(1);

  it('does not end the nodes by a notice that none of them sent', async () => {
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
});
