import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Item, Store } from '../../src/storage/store.ts';
import { issuerAt, PEOPLE_PASSWORD, SECRET, writeConfig } from '../bench/config.ts';
import { startCommand, startMeasured, type Measured } from '../bench/processes.ts';
import { rows, signPeopleIn } from '../bench/rows.ts';
import { compare, type Side } from '../bench/side-by-side.ts';
import { serverStores } from '../oidc/server-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/until.ts';
import { load, PersonCopier, sizeOf } from './grown-store.ts';

/** `GROWTH_PEOPLE=1000000 GROWTH_EXPIRED=10000000 GROWTH_STORES=SQLite npx mocha test/soak/growth.test.ts` takes an hour. */
const PEOPLE = Number(process.env['GROWTH_PEOPLE'] ?? 10_000);
const EXPIRED = Number(process.env['GROWTH_EXPIRED'] ?? 20_000);
const STORES = process.env['GROWTH_STORES']?.split(',');
/** Expiring records that are written a second, more than a server does. */
const PACE = Number(process.env['GROWTH_PACE'] ?? 8000);
const FEW = 1000;
/** The rows that look something up among what has grown. */
const ROWS = ['client credentials ES256', 'code exchange', 'refresh', 'userinfo', 'sign-in'];
const isShort = process.env['GROWTH_PEOPLE'] === undefined;
const SIZES = isShort ? { rounds: 3, turn: 300, warmUp: 500 } : { rounds: 9, turn: 500, warmUp: 1000 };
/** The most that a cost may grow. In the short run, the noise of a busy machine exceeds the difference. */
const FLAT = isShort ? 2 : 1.2;
/** Seconds that an expiring record lives. */
const LIFE = 3;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

interface Grown extends Side {
  running: RunningBackend;
  store: Store;
  /** @returns milliseconds until it answers, and those of CPU time */
  restart(): Promise<{ took: number; cpu: number }>;
}

for (const backend of serverStores.filter(({ name }) => STORES?.includes(name) ?? true)) {
  describe(`A server on ${backend.name} whose store grows to ${PEOPLE} people who are signed in`, function () {
    this.timeout(4 * HOUR);
    let directory: string;
    let few: Grown;
    let many: Grown;
    let copier: PersonCopier;
    const say = (text: string) => console.log(`      ${text}`);

    before(async () => {
      process.env['BENCH_SECRET'] = SECRET;
      process.env['BENCH_PASSWORD'] = PEOPLE_PASSWORD;
      directory = await mkdtemp(join(tmpdir(), 'latchkey-growth-'));
      few = await start();
      many = await start();
      await rows.find(({ name }) => name === 'refresh')?.prepare(few.bench, 1);
      copier = await PersonCopier.of(few.store);
    });
    after(async () => {
      for (const { server, store, running } of [few, many]) {
        await server.stop();
        await store.close();
        await running.stop();
      }
      await rm(directory, { recursive: true, force: true });
    });

    async function start(): Promise<Grown> {
      const running = await backend.start();
      const [port, folder] = [await freePort(), await mkdtemp(join(directory, 'node-'))];
      const config = await writeConfig(folder, { port, store: 'sqlite:unused.db' });
      const startServer = async (): Promise<Measured> =>
        startMeasured({
          options: startCommand.options,
          line: [...startCommand.line, '--config', config],
          url: issuerAt(port),
          store: backend.name === 'SQLite' ? 'sqlite' : backend.name === 'Redis' ? 'redis' : 'postgres',
          environment: { LATCHKEY_STORE: running.url },
        });
      const server = await startServer();
      const issuer = issuerAt(port);
      const grown: Grown = {
        running,
        server,
        bench: { issuer, browsers: await signPeopleIn(issuer) },
        store: await openStore(running.url, systemClock),
        async restart() {
          await grown.server.stop();
          const begin = performance.now();
          grown.server = await startServer();
          const took = performance.now() - begin;
          return { took, cpu: (await grown.server.usage()).cpu / 1000 };
        },
      };
      return grown;
    }

    it('The store takes the bytes per account, session and grant that docs/stores.md states', async () => {
      for (const part of ['account', 'session', 'grant'] as const) {
        await copier.fill(few.store, part, { from: PEOPLE, to: PEOPLE + FEW });
        const before = await sizeOf(many.running.url);
        const begin = performance.now();
        await copier.fill(many.store, part, { from: 0, to: PEOPLE });
        const took = (performance.now() - begin) / 1000;
        const after = await sizeOf(many.running.url);
        say(`${part}: ${Math.round((after.bytes - before.bytes) / PEOPLE)} bytes, written in ${took.toFixed(0)} s`);
        assert.ok(after.bytes - before.bytes < PEOPLE * 10_000);
      }
    });

    it('The server serves each request as cheaply as with 1,000 people', async () => {
      for (const row of rows.filter(({ name }) => ROWS.includes(name))) {
        const { cpu, trips, ratio, least } = await compare(row, [few, many], SIZES);
        say(
          `${row.name}: ${cpu.map((each) => each.toFixed(2)).join(' and ')} CPU s/1000, ratio ${ratio.toFixed(2)}, at the least ${least.toFixed(2)}, ${trips.join(' and ')} trips`,
        );
        assert.ok(Math.min(ratio, least) <= FLAT, `${row.name} costs ${ratio.toFixed(2)} times the CPU time`);
        assert.ok(trips[1] <= trips[0] * FLAT + 1, `${row.name} takes ${trips.join(' and ')} trips`);
      }
    });

    it('The server starts as fast, and takes as much memory, as with 1,000 people', async () => {
      const memory = await Promise.all([few, many].map(async ({ server }) => (await server.usage()).rss));
      const starts = { few: [await few.restart()], many: [await many.restart()] };
      starts.few.push(await few.restart());
      starts.many.push(await many.restart());
      const least = (of: 'few' | 'many', what: 'took' | 'cpu') => Math.min(...starts[of].map((start) => start[what]));
      for (const what of ['took', 'cpu'] as const)
        say(`start, ${what}: ${Math.round(least('few', what))} and ${Math.round(least('many', what))} ms`);
      say(`resident: ${memory.map((each) => Math.round(each / 1e6)).join(' and ')} MB`);
      // A busy machine makes every start slow, so the CPU time decides.
      assert.ok(least('many', 'cpu') < least('few', 'cpu') * FLAT + 100);
      const [less = 0, more = 0] = memory;
      assert.ok(more < less * FLAT);
    });

    it(`The store is as large as before once ${EXPIRED} records have expired`, async () => {
      const before = await sizeOf(many.running.url);
      const peaks: number[] = [];
      const begin = performance.now();
      for (let written = 0; written < EXPIRED;) {
        const amount = Math.min(PACE, EXPIRED - written);
        for (let at = 0; at < amount; at += 500)
          await load(many.store, expiring(written + at, Math.min(500, amount - at)));
        written += amount;
        const ahead = (written / PACE) * 1000 - (performance.now() - begin);
        if (ahead > 0) await sleep(ahead);
        if (written % (PACE * 20) === 0) peaks.push((await sizeOf(many.running.url)).rows - before.rows);
      }
      const rate = EXPIRED / ((performance.now() - begin) / 1000);
      say(`${Math.round(rate)} a second; rows beside those that stay, over time: ${thinned(peaks).join(', ')}`);
      const [early, late] = [peaks.slice(0, peaks.length / 2), peaks.slice(peaks.length / 2)];
      if (early.length > 2) assert.ok(Math.max(...late) < Math.max(...early) * 1.5, 'the sweeper does not keep up');
      // Redis looks for expired keys until less than a tenth of those that it meets are expired.
      const share = backend.name === 'Redis' ? 1.12 : 1;
      await until(async () => (await sizeOf(many.running.url)).rows <= before.rows * share + 50, 10 * MINUTE);
      const after = await sizeOf(many.running.url);
      say(`${before.bytes} bytes before, ${after.bytes} after`);
      assert.ok(after.bytes < before.bytes * 1.05 * share + 2 ** 22);
    });

    it('The store keeps no byte of sessions and grants once all of them have expired', async () => {
      const running = await backend.start();
      const store = await openStore(running.url, systemClock);
      try {
        const empty = await sizeOf(running.url);
        const expiresAt = systemClock.now() + Math.max(10_000, PEOPLE);
        for (const part of ['session', 'grant'] as const)
          await copier.fill(store, part, { from: 0, to: PEOPLE / 4, expiresAt });
        const full = await sizeOf(running.url);
        const shown = await showsSession(running.url);
        await sleep(Math.max(0, expiresAt - systemClock.now()));
        await until(async () => (await sizeOf(running.url)).rows === 0, 10 * MINUTE);
        const ended = await sizeOf(running.url);
        say(`${empty.bytes} bytes empty, ${full.bytes} full, ${ended.bytes} once all has ended`);
        assert.ok(full.rows > 0);
        if (running.url.startsWith('sqlite:')) {
          assert.ok(shown && !(await showsSession(running.url)), 'a free page shows a session');
          assert.ok(ended.bytes <= empty.bytes + 2 ** 16);
        }
      } finally {
        await store.close();
        await running.stop();
      }
    });
  });
}

/** Whether the file of an SQLite store has a session in its bytes, also in those of free pages. */
async function showsSession(url: string): Promise<boolean> {
  if (!url.startsWith('sqlite:')) return false;
  const path = url.slice('sqlite:'.length);
  const database = new DatabaseSync(path, { timeout: 10_000 });
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
  return (await readFile(path)).includes('"accountId"');
}

/** Records with an index and a term, members without a record, and counters. */
function expiring(from: number, amount: number): Item[] {
  const expiresAt = systemClock.now() + LIFE * 1000;
  return Array.from({ length: amount }, (_, at): Item => {
    const name = `${((from + at) * 2654435761) % 4294967296}-${from + at}`;
    const names = { indexes: [`passing:${(from + at) % 50}`], terms: [`passing:${name}`] };
    if (at % 4 === 1) return { kind: 'member', index: 'all-passing', key: `passing:${name}`, expiresAt };
    if (at % 4 === 2) return { kind: 'counter', key: `passing:${name}`, sum: 1, expiresAt };
    return { kind: 'record', key: `passing:${name}`, json: `"${'x'.repeat(200)}"`, version: 1, expiresAt, ...names };
  });
}

/** At most ten of them. */
function thinned(values: readonly number[]): number[] {
  const step = Math.max(1, Math.ceil(values.length / 10));
  return values.filter((_, at) => at % step === 0);
}
