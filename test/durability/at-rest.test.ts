import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { hashClientSecret } from '../../src/clients/clients.ts';
import { openMasterKey, type MasterKey } from '../../src/keys/master-key.ts';
import { ringRecords } from '../../src/keys/ring-record.ts';
import { sha256 } from '../../src/lib/hash.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { ADMIN, ALICE } from '../support/flows.ts';
import { startPostgres, type PostgresOfTests } from '../support/postgres.ts';
import { startRedis, type RedisOfTests } from '../support/redis.ts';
import { NEW_PERSON, runAllFlows, STORED_CLIENT } from './all-flows.ts';
import { newPlace, startCommand, type Command, type Place } from './command.ts';
import { findBytes } from './find-bytes.ts';
import { SeenSecrets } from './seen-secrets.ts';

/** Where the bytes of a store are, all that a thief of its disk would get. */
interface Stolen {
  url: string | undefined;
  bytes(place: Place): Promise<Buffer>;
  stop(): Promise<void>;
}

const backends: Record<string, () => Promise<Stolen>> = {
  SQLite: async () => ({
    url: undefined,
    bytes: ({ directory }) => readAll(directory, /^store\.db/),
    stop: async () => undefined,
  }),
  Redis: async () => {
    const redis = await startRedis({ appendonly: true, extra: ['--rdbcompression', 'no'] });
    return { url: redis.url, bytes: () => dumpRedis(redis), stop: redis.stop };
  },
  PostgreSQL: async () => {
    const postgres = await startPostgres();
    const url = await postgres.newDatabase();
    return { url, bytes: () => dataOf(postgres, new URL(url).pathname.slice(1)), stop: () => postgres.stop() };
  },
};

for (const [name, start] of Object.entries(backends)) {
  describe(`A stolen copy of the ${name} store`, () => {
    const seen = new SeenSecrets();
    let stolen: Stolen;
    let place: Place;
    let server: Command;
    let store: Store;
    let bytes: Buffer;

    before(async function () {
      this.timeout(60_000);
      stolen = await start();
      place = await newPlace(stolen.url);
      server = await startCommand(place, { LATCHKEY_LOG_LEVEL: 'trace' });
      store = await openStore(place.store, systemClock);
      await storeClient(store);
      seen.watch();
      await runAllFlows(place.issuer).finally(() => seen.unwatch());
      bytes = await stolen.bytes(place);
    });

    after(async () => {
      seen.unwatch();
      await store.close();
      await server.end('SIGKILL');
      await stolen.stop();
      await place.remove();
    });

    it('The search of a stolen store finds public values, so it searches the right bytes', () => {
      const names = ['demo-web', STORED_CLIENT.id, 'account-words-', 'account-key:acc_'];
      assert.equal(
        findBytes(
          bytes,
          names.map((value) => [value, value]),
        ).length,
        names.length,
      );
    });

    it('A stolen store contains no token, code, cookie, form secret, password or client secret in clear', () => {
      assert.deepEqual(findBytes(bytes, seen.values), []);
      assert.ok(seen.values.size > 150, `only ${seen.values.size} values were looked for`);
    });

    it('A stolen store contains no name or address of a person, and no hash of an address to try one by', async () => {
      const addresses = [ALICE.email, ADMIN.email, NEW_PERSON.email];
      const names = ['Quirinius', 'Newcomer', 'newcomer', 'post.example.com'];
      const hashes = addresses.map((address) => sha256(address));
      const personal = [...addresses, ...names, ...hashes].map((value): [string, string] => [value, value]);
      assert.deepEqual(findBytes(bytes, personal), []);
    });

    it('A stolen store contains no key in clear', async () => {
      assert.deepEqual(findBytes(bytes, await keysOf(place, store)), []);
    });

    it('The search of a stolen store would find a token in clear', async () => {
      const [[token, from] = ['', '']] = [...seen.values].filter(([, name]) => name === 'refresh_token');
      const forms = [token, Buffer.from(`xy${token}`).toString('base64'), Buffer.from(token).toString('hex')];
      for (const form of forms) await store.set(`test:${form.length}`, { form });
      const found = findBytes(await stolen.bytes(place), [[token, from]]);
      assert.deepEqual(found.toSorted(), [
        'refresh_token, as it is',
        'refresh_token, base64',
        'refresh_token, base64url',
        'refresh_token, hex',
      ]);
    });

    it('The log contains no token, code, cookie, password or other secret in clear', () => {
      // What is no line of the log is the demo's greeting, which tells the demo's password.
      const lines = server
        .output()
        .split('\n')
        .filter((line) => line.startsWith('{'));
      assert.match(lines.join(), /account.signed-in/);
      assert.deepEqual(findBytes(Buffer.from(lines.join('\n')), seen.values), []);
    });
  });
}

/** As an operator's tool would put it there. */
async function storeClient(store: Store): Promise<void> {
  await store.set(`client:${STORED_CLIENT.id}`, {
    client_id: STORED_CLIENT.id,
    client_name: 'Stored client',
    type: 'machine',
    redirect_uris: [],
    post_logout_redirect_uris: [],
    allowed_origins: [],
    scopes: [],
    resources: [],
    first_party: false,
    id_token_signing_alg: 'ES256',
    introspection: false,
    secret_hash: hashClientSecret(STORED_CLIENT.secret, systemRandom),
  });
}

/** The master key, and every secret that the ring holds under it. */
async function keysOf({ directory }: Place, store: Store): Promise<[Buffer | string, string][]> {
  const master = (await readFile(join(directory, 'master.key'), 'utf8')).trim();
  const ring = await ringRecords(store, await openKey(directory)).read();
  assert.ok(ring !== undefined);
  const { keys, cookieKeys, root } = ring.content;
  const members = keys.flatMap(({ kid, privateJwk }) =>
    (['d', 'p', 'q', 'dp', 'dq', 'qi'] as const).flatMap((name): [string, string][] => {
      const value = privateJwk?.[name];
      return typeof value === 'string' ? [[value, `${name} of ${kid}`]] : [];
    }),
  );
  assert.equal(members.length, 7);
  return [
    [master, 'master key'],
    [root, 'root of the ring'],
    ...cookieKeys.map(({ secret }): [string, string] => [secret, 'cookie key']),
    ...members,
  ];
}

function openKey(directory: string): Promise<MasterKey> {
  return openMasterKey(directory, { create: false, random: systemRandom });
}

/** What PostgreSQL has written of a database: its own tables and statistics, and the log of the latest writes. */
async function dataOf(postgres: PostgresOfTests, database: string): Promise<Buffer> {
  await postgres.sql('ANALYZE', database);
  await postgres.sql('CHECKPOINT');
  const relations = await postgres.sql(
    `SELECT pg_relation_filepath(oid) AS path FROM pg_class WHERE relkind IN ('r', 'i', 't')
       AND (oid >= 16384 OR oid IN (SELECT unnest(ARRAY[oid, reltoastrelid]) FROM pg_class WHERE relname = 'pg_statistic'))`,
    database,
  );
  const tables = await Promise.all(relations.map(({ path }) => readFile(join(postgres.folder, String(path)))));
  const log = await readAll(join(postgres.folder, 'pg_wal'), /^[\dA-F]+$/);
  return Buffer.concat([...tables, ...pagesOf(log).filter((page) => page.some((byte) => byte !== 0))]);
}

function pagesOf(bytes: Buffer, size = 8192): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
}

async function readAll(directory: string, names: RegExp): Promise<Buffer> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && names.test(entry.name));
  return Buffer.concat(await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name)))));
}

/** The snapshot, the log of every write that ever was, and each key as Redis dumps it. */
async function dumpRedis({ url }: RedisOfTests): Promise<Buffer> {
  const client = new Redis(url);
  try {
    await client.save();
    const [, directory = ''] = await client.config('GET', 'dir');
    const keys = await client.keys('*');
    const dumps = await Promise.all(keys.map((key) => client.dumpBuffer(key)));
    const files = await readAll(directory, /\.(rdb|aof)$/);
    return Buffer.concat([files, ...dumps, Buffer.from(keys.join('\n'))]);
  } finally {
    client.disconnect();
  }
}
