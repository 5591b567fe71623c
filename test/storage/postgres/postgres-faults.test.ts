import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../../src/lib/clock.ts';
import { checkGrantsStore, checkRecordsStore, checkStoreReplicas, openStore } from '../../../src/storage/open-store.ts';
import { openExistingStores } from '../../../src/storage/open-stores.ts';
import { StoreMissing, StoreUnavailable, type Store } from '../../../src/storage/store.ts';
import { certificateFor } from '../../support/certificate.ts';
import { lossyWay } from '../../support/lossy-way.ts';
import { PASSWORD, startPostgres, unprivileged, type PostgresOfTests } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';

async function refusal(url: string, pattern: RegExp): Promise<void> {
  await assert.rejects(openStore(url, systemClock), (error: Error) => {
    assert.match(error.message, pattern);
    assert.ok(!JSON.stringify([error.message, error.stack, error.cause]).includes(PASSWORD), 'the password is told');
    return true;
  });
}

describe('PostgreSQL with a wrong setup or a broken connection', () => {
  let server: PostgresOfTests;

  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  const role = (url: string): string => new URL(url).username;
  async function opened<T>(url: string, work: (store: Store) => Promise<T>): Promise<T> {
    const store = await openStore(url, systemClock);
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  }

  it('The server’s start refuses a wrong PostgreSQL password, role, database, host or TLS setup, and names the fix', async () => {
    const url = await server.newDatabase();
    await refusal(
      url.replace(PASSWORD, 'wrong'),
      /^PostgreSQL at 127\.0\.0\.1:\d+ refuses the user or password: .*[^.]\. Correct/,
    );
    await refusal(url.replace(`:${PASSWORD}`, ''), /refuses the user or password: .*in the store URL/);
    await refusal(url.replace(`//${role(url)}`, '//nobody-here'), /refuses the user or password: .*in the store URL/);
    await refusal(`${url}_other`, /^PostgreSQL at .* cannot be used: database .* does not exist\. .*CREATE DATABASE/);
    await refusal(url.replace(/:\d+\//, ':1/'), /^no PostgreSQL at .*ECONNREFUSED.*Start it/);
    await refusal(`${url}?sslmode=verify-full`, /SSL.*ssl = on/);
  });

  it('The PostgreSQL store connects over TLS only to a server that its certificate names', async () => {
    const authority = { name: [['CN', 'authority']], isAuthority: true } as const;
    const signer = { ...certificateFor(authority), subject: authority };
    const other = certificateFor(authority);
    const { cert, key } = certificateFor({ name: [['CN', 'localhost']], dns: 'localhost' }, signer);
    const file = (name: string, text: string) => writeFileSync(join(server.folder, name), text, { mode: 0o600 });
    for (const [name, text] of Object.entries({
      'own.crt': cert,
      'own.key': key,
      'ca.crt': signer.cert,
      'other.crt': other.cert,
    }))
      file(name, text);
    const { uid, gid } = unprivileged();
    if (uid !== undefined && gid !== undefined) chownSync(join(server.folder, 'own.key'), uid, gid);
    if (uid !== undefined && gid !== undefined) chownSync(join(server.folder, 'own.crt'), uid, gid);
    await server.sql("ALTER SYSTEM SET ssl_cert_file = 'own.crt'");
    await server.sql("ALTER SYSTEM SET ssl_key_file = 'own.key'");
    await server.sql('ALTER SYSTEM SET ssl = on');
    await server.sql('SELECT pg_reload_conf()');
    await until(async () => (await server.sql('SHOW ssl'))[0]?.['ssl'] === 'on');
    const url = await server.newDatabase();
    const [named, unnamed] = [url.replace('127.0.0.1', 'localhost'), url];
    const trusted = `sslrootcert=${server.folder}/ca.crt`;
    for (const good of [
      `${named}?sslmode=verify-full&${trusted}`,
      `${unnamed}?sslmode=verify-ca&${trusted}`,
      `${unnamed}?sslmode=require`,
    ]) {
      await opened(good, async (store) => {
        await store.set('record:1', 1);
        const asked = 'SELECT bool_and(ssl) AS all FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = ';
        assert.equal((await server.sql(`${asked}'${role(url)}'`))[0]?.['all'], true);
      });
    }
    await refusal(`${unnamed}?sslmode=verify-full&${trusted}`, /altnames.*a host name that its certificate contains/);
    await refusal(`${named}?sslmode=verify-full`, /certificate.*sslrootcert=\/PATH/);
    const strange = trusted.replace('ca.crt', 'other.crt');
    await refusal(`${named}?sslmode=verify-full&${strange}`, /certificate.*sslrootcert=\/PATH/);
    await refusal(`${named}?sslmode=verify-full&${trusted}.not-there`, /cannot be read \(ENOENT\)/);
  });

  it('A command creates no PostgreSQL schema', async () => {
    const url = await server.newDatabase();
    const stores = { grants: url, durability: 'primary' } as const;
    await assert.rejects(openExistingStores(stores), StoreMissing);
    await opened(url, (store) => store.set('record:1', 1));
    await (await openExistingStores(stores)).close();
  });

  it('The server warns about PostgreSQL connections with unverified TLS or without TLS', async () => {
    const url = (await server.newDatabase()).replace('127.0.0.1', '0.0.0.0');
    const warnings = (to: string) => opened(to, (store) => checkRecordsStore(to, store));
    assert.match((await warnings(`${url}?sslmode=require`)).join(), /does not check whose it is.*Use verify-full/);
    assert.match((await warnings(`${url}?sslmode=disable`)).join(), /unencrypted: use verify-full/);
    assert.deepEqual(await warnings(`${url}?sslmode=verify-ca&sslrootcert=${server.folder}/ca.crt`), []);
  });

  it('The server warns if another role owns the PostgreSQL schema, or if any role can create objects in it', async () => {
    const url = await server.newDatabase();
    const database = role(url);
    await server.sql(`CREATE SCHEMA latchkey; GRANT USAGE, CREATE ON SCHEMA latchkey TO ${database}`, database);
    const warnings = () => opened(url, (store) => checkRecordsStore(url, store));
    assert.match((await warnings()).join(), /belong to another role \(postgres\).*ALTER SCHEMA latchkey OWNER TO/);
    await server.sql(`ALTER SCHEMA latchkey OWNER TO ${database}; GRANT CREATE ON SCHEMA latchkey TO PUBLIC`, database);
    assert.match(
      (await warnings()).join(),
      /any role may create objects.*REVOKE CREATE ON SCHEMA latchkey FROM PUBLIC/,
    );
    await server.sql('REVOKE CREATE ON SCHEMA latchkey FROM PUBLIC', database);
    assert.deepEqual(await warnings(), []);
  });

  it('The server’s start refuses a wrong PostgreSQL encoding, missing rights and a newer schema, and names the fix', async () => {
    const latin = await server.newDatabase("ENCODING 'LATIN1' TEMPLATE template0");
    await refusal(latin, /encoding LATIN1.*ENCODING 'UTF8'/);
    const url = await server.newDatabase();
    const database = role(url);
    await server.sql(`ALTER DATABASE ${database} OWNER TO postgres`);
    await refusal(url, new RegExp(`CREATE SCHEMA latchkey AUTHORIZATION "${database}"`));
    await server.sql('CREATE SCHEMA latchkey', database);
    await refusal(url, new RegExp(`GRANT USAGE, CREATE ON SCHEMA latchkey TO "${database}"`));
    await server.sql(`GRANT USAGE, CREATE ON SCHEMA latchkey TO ${database}`, database);
    await opened(url, (store) => store.set('record:1', 1));
    await server.sql(`REVOKE INSERT ON latchkey.records FROM ${database}`, database);
    await refusal(url, /GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA latchkey/);
    await server.sql(`GRANT INSERT ON latchkey.records TO ${database}`, database);
    await server.sql('UPDATE latchkey.schema_version SET version = 99', database);
    await refusal(url, /schema version 99.*start a newer version/);
  });

  it('The server refuses a read-only PostgreSQL, and leaves one that becomes read-only', async () => {
    const url = await server.newDatabase();
    await opened(url, async (store) => {
      await server.sql(`ALTER ROLE ${role(url)} SET default_transaction_read_only = on`);
      await server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role(url)}'`);
      await until(() => store.set('record:1', 1).then(() => false, (error: unknown) => error instanceof StoreUnavailable)); // prettier-ignore
      await assert.rejects(store.get('record:1'), StoreUnavailable);
      await refusal(url, /read-only.*Name every server/);
      await server.sql(`ALTER ROLE ${role(url)} RESET default_transaction_read_only`);
      await server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role(url)}'`);
      await until(() => store.set('record:1', 1).then(() => true, () => false)); // prettier-ignore
    });
  });

  it('Many nodes that start at once create the PostgreSQL schema once', async () => {
    const url = await server.newDatabase();
    const stores = await Promise.all(Array.from({ length: 8 }, () => openStore(url, systemClock)));
    const won = await Promise.all(stores.map((store) => store.create('record:1', 1)));
    assert.equal(won.filter(Boolean).length, 1);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('Two PostgreSQL schemas keep two stores apart', async () => {
    const url = await server.newDatabase();
    await opened(`${url}?schema=user`, async (one) => {
      await one.set('record:1', 'one');
      await opened(`${url}?schema=other`, async (other) => assert.equal(await other.get('record:1'), undefined));
    });
  });

  it('The server refuses a PostgreSQL for records that may lose writes, and warns about one for grants', async () => {
    const url = await server.newDatabase();
    await opened(url, async (store) => {
      assert.deepEqual(await checkRecordsStore(url, store), []);
      assert.deepEqual(await checkGrantsStore(url, store), []);
      assert.deepEqual(await checkStoreReplicas(url, store, false), []);
      await assert.rejects(checkStoreReplicas(url, store, true), /set synchronous_standby_names/);
    });
    await assert.rejects(openStore(url, systemClock, true), /does not wait for a replica.*synchronous_standby_names/);
    await server.sql(`ALTER ROLE ${role(url)} SET synchronous_commit = off`);
    await server.sql('ALTER SYSTEM SET fsync = off');
    await server.sql('SELECT pg_reload_conf()');
    await until(async () => (await server.sql('SHOW fsync'))[0]?.['fsync'] === 'off');
    await opened(url, async (store) => {
      await assert.rejects(checkRecordsStore(url, store), /fsync = off\. Run ALTER SYSTEM SET fsync = on/);
      const [lost, late, ...others] = await checkGrantsStore(url, store);
      assert.match(lost ?? '', /grants store may lose.*ALTER SYSTEM SET fsync = on/);
      assert.match(late ?? '', /synchronous_commit = on/);
      assert.deepEqual(others, []);
    });
    await server.sql('ALTER SYSTEM RESET fsync');
    await server.sql('SELECT pg_reload_conf()');
  });

  it('The PostgreSQL store is unavailable if a response is lost, and does the write only once', async () => {
    const url = await server.newDatabase();
    const way = await lossyWay(server.port);
    try {
      await opened(url.replace(`:${server.port}/`, `:${way.port}/`), async (store) => {
        assert.equal(await store.increment('tries', 1, 600), 1);
        await store.set('code:1', 1, { ttl: 600 });
        way.loseAnswers(true);
        await assert.rejects(store.increment('tries', 1, 600), StoreUnavailable);
        await assert.rejects(store.consume('code:1'), StoreUnavailable);
        way.loseAnswers(false);
        await until(() => store.health().then(() => true, () => false)); // prettier-ignore
        assert.equal(await store.increment('tries', 0, 600), 2);
        // The way was lost before the second statement, or with its answer.
        assert.ok(['first', 'already'].includes((await store.consume('code:1')).use));
        assert.equal((await store.consume('code:1')).use, 'already');
      });
    } finally {
      way.close();
    }
  });

  it('The PostgreSQL store is unavailable while another transaction has a lock, and works again afterwards', async () => {
    const url = await server.newDatabase();
    await opened(url, async (store) => {
      await store.set('record:1', 1);
      const held = server.sql(
        'BEGIN; LOCK TABLE latchkey.records IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4); COMMIT',
        role(url),
      );
      await until(() => store.set('record:1', 2).then(() => false, (error: unknown) => error instanceof StoreUnavailable)); // prettier-ignore
      assert.equal(await store.increment('other', 1, 60), 1);
      await held;
      await store.set('record:1', 3);
    });
  });

  it('PostgreSQL whose files are full refuses writes, still answers reads, and accepts writes once there is room', async () => {
    const url = await server.newDatabase();
    // Connections that begin from now on have the limit. A segment of the log, which is 16 MiB, fits.
    const limit = (size: string) =>
      execFileSync('prlimit', [`--pid=${server.process.pid ?? 0}`, `--fsize=${size}:`], {
        ...unprivileged(),
        stdio: 'ignore',
      });
    const isFull = (error: unknown): boolean => {
      assert.ok(error instanceof StoreUnavailable, String(error));
      return error.message.includes('could not extend file');
    };
    limit(String(17 * 2 ** 20));
    try {
      await opened(url, async (store) => {
        await store.set('record:1', 'kept');
        const value = randomBytes(100_000).toString('base64');
        const acknowledged: string[] = [];
        const fill = async () => {
          for (let at = 0; at < 600; at += 1) {
            await store.set(`filler:${at}`, value, { ttl: 600 });
            acknowledged.push(`filler:${at}`);
          }
        };
        await assert.rejects(fill(), isFull);
        assert.equal((await store.get('record:1'))?.value, 'kept');
        await assert.rejects(store.set('filler:more', value), isFull);
        limit('unlimited');
        await server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role(url)}'`);
        await until(() => store.set('filler:more', value).then(() => true, () => false)); // prettier-ignore
        const kept = await store.getMany(acknowledged);
        assert.ok(kept.length > 50 && kept.every((record) => record?.value === value));
      });
    } finally {
      limit('unlimited');
    }
  });

  it('The PostgreSQL store keeps names with NUL and names that are too long for a B-tree index', async () => {
    const url = await server.newDatabase();
    await opened(url, async (store) => {
      const noise = (seed: number) =>
        'z' + Array.from({ length: 3000 }, (_, at) => String.fromCodePoint(33 + ((at * at * seed) % 8191))).join('');
      const keys = ['a\0b', 'a\u0001b', 'a\u0002', noise(7), noise(11), `${noise(7)}x`];
      for (const key of keys) await store.set(key, key, { indexes: [noise(3), 'i\0'], terms: [`order:${noise(5)}`] });
      for (const key of keys) assert.equal((await store.get(key))?.value, key);
      assert.deepEqual((await store.members('i\0')).keys.slice(0, 3), keys.slice(0, 3));
      assert.deepEqual((await store.members(noise(3))).keys.toSorted(), keys.toSorted());
      const { found } = await store.range('order:');
      assert.deepEqual(new Set(found.map(({ term }) => term)), new Set([`order:${noise(5)}`]));
      const dumped: string[] = [];
      for await (const batch of store.dump()) {
        for (const item of batch) {
          dumped.push(item.key);
          assert.deepEqual(item.kind === 'record' && item.indexes, [noise(3), 'i\0'].sort());
        }
      }
      assert.deepEqual(dumped.toSorted(), keys.toSorted());
    });
  });
});
