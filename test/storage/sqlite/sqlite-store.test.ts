import assert from 'node:assert/strict';
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { mock } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkpoint, sweep } from '../../../src/storage/sqlite/maintenance.ts';
import { openDatabase } from '../../../src/storage/sqlite/open-database.ts';
import { openSqliteStore } from '../../../src/storage/sqlite/sqlite-store.ts';
import { prepareStatements } from '../../../src/storage/sqlite/statements.ts';
import { StoreUnavailable } from '../../../src/storage/store.ts';
import { MovedClock } from '../../support/clock.ts';
import { startContenders } from '../contest.ts';

describe('The SQLite file', () => {
  const clock = new MovedClock();
  let folder: string;
  let path: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-sqlite-'));
    path = join(folder, 'deep/er/store.db');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('The store creates the SQLite file and its folders for their owner only', async () => {
    const store = openSqliteStore(path, clock);
    await store.set('record:1', 1);
    for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(join(folder, 'deep/er')).mode & 0o777, 0o700);
    assert.equal(statSync(join(folder, 'deep')).mode & 0o777, 0o700);
    await store.close();
  });

  it('The SQLite file keeps everything between two openings', async () => {
    const first = openSqliteStore(path, clock);
    await first.set('record:1', { a: 1 }, { ttl: 60, indexes: ['all'] });
    await first.consume('record:1');
    const kept = await first.get('record:1');
    await first.close();
    const second = openSqliteStore(path, clock);
    assert.deepEqual(await second.get('record:1'), kept);
    assert.deepEqual((await second.members('all')).keys, ['record:1']);
    await second.close();
  });

  it('Several processes that open the SQLite file at the same moment create it once', async () => {
    const pairs = await Promise.all([0, 1, 2].map(() => startContenders(`sqlite:${path}`)));
    const contests = pairs.map((pair) => pair.contest({ verb: 'create', keys: ['record:1'], times: 10 }));
    const answers = (await Promise.all(contests)).flat(2);
    assert.equal(answers.filter((won) => won === true).length, 1);
    assert.equal(answers.length, 60);
    await Promise.all(pairs.map((pair) => pair.stop()));
  });

  it('The store upgrades an SQLite file of an older version with all its data', async () => {
    const old = openDatabase(path);
    old.exec("INSERT INTO records (key, value, version, expires_at) VALUES ('record:1', '1', 1, 9007199254740991)");
    old.exec('DROP TABLE entries; PRAGMA user_version = 1');
    old.close();
    const store = openSqliteStore(path, clock);
    await store.enlist('all', 'entry:1', 60);
    assert.deepEqual((await store.members('all')).keys, ['entry:1']);
    assert.equal((await store.get('record:1'))?.value, 1);
    await store.close();
  });

  it('The store refuses an SQLite file of a newer version, and does not change it', () => {
    openDatabase(path).close();
    const database = new DatabaseSync(path);
    database.exec('PRAGMA user_version = 99');
    assert.throws(() => openSqliteStore(path, clock), /schema version 99/);
    assert.equal(database.prepare('PRAGMA user_version').get()?.['user_version'], 99);
    database.close();
  });

  it('The store refuses a file that is no database', () => {
    openDatabase(path).close();
    writeFileSync(path, 'a letter to the editor, long enough to be read as a header '.repeat(20));
    assert.throws(() => openSqliteStore(path, clock), /not a database/);
  });

  it('The SQLite store refuses writes while another process has the lock, and still answers reads', async () => {
    const store = openSqliteStore(path, clock);
    await store.set('record:1', 1);
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    let turns = 0;
    const counting = setInterval(() => (turns += 1), 10);
    await assert.rejects(store.set('record:1', 2), StoreUnavailable);
    clearInterval(counting);
    assert.ok(turns > 10, 'the event loop went on');
    assert.equal((await store.get('record:1'))?.value, 1);
    const waiting = store.set('record:1', 3);
    await sleep(20);
    other.exec('COMMIT');
    await waiting;
    assert.equal((await store.get('record:1'))?.value, 3);
    other.close();
    await store.close();
  });

  it('The SQLite store is not healthy if its file was moved or replaced', async () => {
    const store = openSqliteStore(path, clock);
    await store.health();
    renameSync(path, `${path}.bak`);
    await assert.rejects(store.health(), StoreUnavailable);
    writeFileSync(path, '');
    await assert.rejects(store.health(), StoreUnavailable);
    rmSync(path);
    renameSync(`${path}.bak`, path);
    await store.health();
    await store.close();
  });

  it('The SQLite store acknowledges nothing after its file or its log was removed', async () => {
    const store = openSqliteStore(path, clock);
    await store.set('record:1', 1);
    for (const file of [path, `${path}-wal`]) {
      renameSync(file, `${file}.bak`);
      await assert.rejects(store.set('record:1', 2), {
        name: 'StoreUnavailable',
        message: /removed.*stop every server/,
      });
      await assert.rejects(store.get('record:1'), StoreUnavailable);
      await assert.rejects(store.enlist('all', 'entry:1', 60), StoreUnavailable);
      renameSync(`${file}.bak`, file);
      await store.set('record:1', 3);
    }
    await store.close();
  });

  it('A copy of the SQLite file alone contains everything up to the last checkpoint', async () => {
    const store = openSqliteStore(path, clock);
    const copied = () => {
      copyFileSync(path, `${path}.copy`);
      const copy = new DatabaseSync(`${path}.copy`);
      const records = copy.prepare('SELECT key FROM records').all();
      copy.close();
      return records.map(({ key }) => key);
    };
    assert.deepEqual(copied(), [], 'it has its tables from the start');
    await store.set('record:1', 1);
    const database = openDatabase(path);
    checkpoint(database);
    database.close();
    assert.deepEqual(copied(), ['record:1']);
    await store.close();
  });

  it('The SQLite file alone contains within a minute what a server wrote before it became idle', async () => {
    mock.timers.enable({ apis: ['setInterval'] });
    try {
      const store = openSqliteStore(path, clock);
      await store.set('record:1', 1);
      const inFile = (): boolean => readFileSync(path).includes('record:1');
      mock.timers.tick(59_000);
      assert.equal(inFile(), false);
      mock.timers.tick(1000);
      assert.equal(inFile(), true);
      await store.set('record:2', 2);
      await store.close();
    } finally {
      mock.timers.reset();
    }
  });

  it('The error about a damaged SQLite file tells the operator to start again', async () => {
    const store = openSqliteStore(path, clock);
    for (let at = 0; at < 500; at += 1) await store.set(`record:${at}`, 'x'.repeat(500));
    const database = openDatabase(path);
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    database.close();
    const size = statSync(path).size;
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(size - 4096, 7), 0, size - 4096, 4096);
    closeSync(file);
    const refusal = { name: 'StoreUnavailable', message: /stop every server.*start again/ };
    await assert.rejects(async () => {
      for (let at = 0; at < 500; at += 1) await store.get(`record:${at}`);
    }, refusal);
    await store.close();
  });

  it('The SQLite file keeps no text of deleted, changed or swept records, not even in free pages', async () => {
    const store = openSqliteStore(path, clock);
    const secret = 'a text that must not outlive its record';
    const readFileOnly = (): Buffer => {
      const database = openDatabase(path);
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      database.close();
      return readFileSync(path);
    };
    for (let at = 0; at < 60; at += 1) await store.set(`old:${at}`, secret.repeat(30), { ttl: 10 });
    for (let at = 0; at < 3; at += 1) await store.set(`deleted:${at}`, secret.repeat(300));
    await store.set('changed:1', secret);
    assert.ok(readFileOnly().includes(secret));
    for (let at = 0; at < 3; at += 1) await store.delete(`deleted:${at}`);
    await store.set('changed:1', 'x');
    clock.advance(10);
    const database = openDatabase(path);
    sweep(prepareStatements(database).sweeps, clock.now());
    database.close();
    assert.ok(!readFileOnly().includes(secret));
    await store.close();
  });

  it('The SQLite sweep deletes expired items in batches, and nothing else', async () => {
    const store = openSqliteStore(path, clock);
    for (let at = 0; at < 450; at += 1) await store.set(`old:${at}`, at, { ttl: 10, indexes: ['all'] });
    await store.set('young:1', 1, { ttl: 20, indexes: ['all'] });
    await store.set('durable:1', 1);
    await store.enlist('all', 'old-entry:1', 10);
    await store.enlist('all', 'young-entry:1', 20);
    await store.increment('counter', 1, 10);
    await store.setBits('bitmap', [1], 10);
    await store.publish('channel', 'hint');
    const database = openDatabase(path);
    const { sweeps } = prepareStatements(database);
    const TABLES = ['records', 'members', 'entries', 'counters', 'bitmaps', 'hints'];
    const rows = (table: string) => database.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.['rows'];
    assert.equal(sweep(sweeps, clock.now()), false);
    assert.equal(rows('records'), 452);
    clock.advance(10);
    assert.deepEqual(
      [0, 1, 2, 3].map(() => sweep(sweeps, clock.now())),
      [true, true, false, false],
    );
    assert.deepEqual(TABLES.map(rows), [2, 1, 1, 0, 0, 1]);
    clock.advance(60);
    sweep(sweeps, clock.now());
    assert.deepEqual(TABLES.map(rows), [1, 0, 0, 0, 0, 0]);
    database.close();
    await store.close();
  });
});
