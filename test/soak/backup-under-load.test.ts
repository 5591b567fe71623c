import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Config } from '../../src/config/schema.ts';
import type { Domain } from '../../src/domain/domain.ts';
import type { AccountId } from '../../src/lib/ids.ts';
import { openStores, type Stores } from '../../src/storage/open-stores.ts';
import { postgres, redisCluster, sqlite } from '../storage/backends.ts';
import { besides, command } from '../support/command.ts';
import { domainOn } from '../support/domain.ts';
import { startRedis, startRedisCluster } from '../support/redis.ts';
import { startTestServer } from '../support/server.ts';

interface Place {
  grants: string;
  records?: string;
  stop: () => Promise<void>;
}

const one = async (running: Promise<{ url: string; stop: () => Promise<void> }>): Promise<Place> => {
  const { url, stop } = await running;
  return { grants: url, stop };
};

const places: Record<string, () => Promise<Place>> = {
  SQLite: () => one(sqlite.start()),
  Redis: () => one(startRedis({ appendonly: true })),
  [redisCluster.name]: () => one(startRedisCluster({ appendonly: true })),
  PostgreSQL: () => one(postgres.start()),
  'PostgreSQL for records and Redis for grants': async () => {
    const [records, grants] = [await postgres.start(), await startRedis({ appendonly: true })];
    const stop = async () => {
      await records.stop();
      await grants.stop();
    };
    return { grants: grants.url, records: records.url, stop };
  },
};

/** What was done to an account, with the times at which it was acknowledged. */
interface History {
  email: string;
  createdAt: number;
  roles: { role: number; at: number }[];
  disabledAt?: number;
  removedAt?: number;
  isRemoved: boolean;
}

/** Milliseconds by which the clocks of two processes may differ that follow the same store. */
const WAVER = 30;

/** Makes, changes, disables and removes accounts of its own until it is stopped. */
async function work(
  { accounts, operations, clock }: Domain,
  name: string,
  histories: Map<AccountId, History>,
  isOver: () => boolean,
): Promise<void> {
  const own: AccountId[] = [];
  for (let at = 0; !isOver(); at += 1) {
    await nextTurn();
    const email = `${name}-${at}@example.com`;
    const made = await accounts.create({ email, name: 'Somebody', roles: ['0'], origin: 'operator' });
    if (made === 'email-taken') throw new Error('the address is new');
    own.push(made.id);
    histories.set(made.id, { email, createdAt: clock.now(), roles: [{ role: 0, at: clock.now() }], isRemoved: false });
    const id = own[(at * 7) % own.length] ?? made.id;
    const history = histories.get(id);
    if (history === undefined || history.isRemoved) continue;
    await accounts.setRoles(id, [String(at)]);
    history.roles.push({ role: at, at: clock.now() });
    if (at % 3 === 0) {
      await operations.disableAccount(id);
      history.disabledAt ??= clock.now();
    }
    if (at % 4 !== 0) continue;
    history.isRemoved = true;
    await operations.removeAccount(id);
    history.removedAt = clock.now();
  }
}

describe('A backup under load', function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-load-'));
  const file = (name: string): string => join(folder, name);
  writeFileSync(file('key'), 'correct horse battery staple\n', { mode: 0o600 });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [name, start] of Object.entries(places)) {
    it(`A backup of ${name} contains every operation that was acknowledged before its stated time`, async () => {
      await using closing = new AsyncDisposableStack();
      const { grants, records, stop } = await start();
      closing.defer(stop);
      const change = (config: Config): Config =>
        records === undefined ? config : { ...config, stores: { ...config.stores, records } };
      const server = closing.use(await startTestServer({ store: grants, change, clock: 'of the store' }));
      const opened = async (settings: Config['stores']): Promise<Stores> => {
        const stores = await openStores(settings);
        closing.defer(() => stores.close());
        return stores;
      };
      const domain = domainOn(await opened(server.config.stores), server.config);
      const histories = new Map<AccountId, History>();
      let isOver = false;
      const workers = ['a', 'b', 'c', 'd'].map((worker) => work(domain, worker, histories, () => isOver));
      while (histories.size < 150) await nextTurn();

      const backupFile = file(`of ${name}`);
      const environment = {
        ...besides({ directory: server.directory, issuer: server.issuer, store: grants }),
        ...(records !== undefined && { LATCHKEY_RECORDS_STORE: records }),
      };
      const backup = await command(['store', 'backup', backupFile, '--key-file', file('key')], { environment });
      assert.equal(backup.code, 0, backup.err);
      const after = histories.size + 20;
      while (histories.size < after) await nextTurn();
      isOver = true;
      await Promise.all(workers);
      const moment = Date.parse(/everything that was acknowledged before (\S+Z)/.exec(backup.out)?.[1] ?? '') - WAVER;
      assert.ok(!Number.isNaN(moment), backup.out);

      const target = `sqlite:${file(`restored ${name}.db`)}`;
      const restored = besides({ directory: server.directory, issuer: server.issuer, store: target });
      const restore = await command(['store', 'restore', backupFile, '--key-file', file('key'), '--yes'], {
        environment: restored,
      });
      assert.equal(restore.code, 0, restore.err);
      const { accounts } = domainOn(
        await opened({ ...server.config.stores, grants: target, records: target }),
        server.config,
      );
      const counts = { kept: 0, removed: 0, disabled: 0 };
      for (const [id, history] of histories) {
        if (history.createdAt >= moment) continue;
        const [found, byEmail] = [await accounts.find(id), await accounts.findByEmail(history.email)];
        if ((history.removedAt ?? Infinity) < moment) {
          assert.deepEqual([found, byEmail], [undefined, undefined], 'a removed account came back');
          counts.removed += 1;
        } else if (!history.isRemoved) {
          const acknowledged = history.roles.filter(({ at }) => at < moment).at(-1)?.role ?? 0;
          assert.equal(byEmail?.id, id);
          assert.ok(Number(found?.roles[0]) >= acknowledged, 'an acknowledged role is missing');
          counts.kept += 1;
        }
        if ((history.disabledAt ?? Infinity) < moment && found !== undefined) {
          assert.notEqual(found.disabledAt, undefined, 'a disabled account is enabled');
          counts.disabled += 1;
        }
      }
      assert.ok(
        Object.values(counts).every((count) => count > 0),
        JSON.stringify(counts),
      );
      const check = await command(['store', 'check'], { environment: restored });
      assert.equal(check.code, 0, check.err);
    });
  }
});
