import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/lib/clock.ts';
import { openOneStore } from '../../src/storage/open-stores.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { command, type Ended } from '../support/command.ts';

/** A copy was made ahead, and then its source changes. */
describe('A repeated store copy', function () {
  this.timeout(240_000);
  let directory: string;
  let source: string;
  let target: string;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'latchkey-copy-'));
    [source, target] = ['source', 'target'].map((name) => `sqlite:${join(directory, name)}.db`) as [string, string];
    await inStore(source, async (store) => {
      await store.set('store-marker:main', { id: 'one' });
      for (let at = 0; at < 120; at += 1) await store.set(`account:${at}`, { at });
    });
    const { code, err } = await copy('--while-serving');
    assert.equal(code, 0, err);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const copy = (...more: string[]): Promise<Ended> =>
    command(['store', 'copy', '--from', source, '--to', target, ...more], { environment: {} });

  async function inStore<T>(url: string, work: (store: Store) => Promise<T>): Promise<T> {
    const store = await openStore(url, systemClock);
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  }

  async function accountsIn(url: string): Promise<number> {
    return inStore(url, async (store) => {
      let count = 0;
      for await (const batch of store.dump()) count += batch.filter(({ key }) => key.startsWith('account:')).length;
      return count;
    });
  }

  const assertKept = async (): Promise<void> => {
    assert.equal(await accountsIn(target), 120);
    await assert.rejects(openOneStore(target, undefined), /is incomplete/);
  };

  const loseAccounts = (count: number): Promise<void> =>
    inStore(source, async (store) => {
      for (let at = 0; at < count; at += 1) await store.delete(`account:${at}`);
    });

  it('A source that came back empty costs the earlier copy nothing, and servers still refuse that copy', async () => {
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(directory, `source.db${suffix}`), { force: true });
    await inStore(source, (store) => store.set('readiness:node', { at: 1 }, { ttl: 60 }));
    const { code, err } = await copy();
    assert.equal(code, 1);
    assert.match(err, /there is no store at .*: it is empty\. If it has lost its data, .* may be the only copy/);
    await assertKept();
  });

  it('A new store in place of the source is another store, so the earlier copy stays as it is', async () => {
    await inStore(source, (store) => store.set('store-marker:main', { id: 'two' }));
    const { code, err } = await copy();
    assert.deepEqual([code, err.includes('holds a copy of another store')], [1, true], err);
    await inStore(source, (store) => store.delete('store-marker:main'));
    assert.match(
      (await copy()).err,
      /holds a copy of another store than the one that is now at .*Otherwise name an empty/s,
    );
    await assertKept();
  });

  it('A source that has lost more than a tenth of its records must be confirmed, and a smaller loss need not', async () => {
    await loseAccounts(40);
    const { code, err } = await copy();
    assert.deepEqual([code, err.includes('no longer has 40 of the 121 records')], [1, true], err);
    assert.match(err, /bring the data back first.*add --accept-deletions/);
    await assertKept();
    const accepted = await copy('--accept-deletions');
    assert.deepEqual([accepted.code, /40 records .* were deleted/.test(accepted.err)], [0, true], accepted.err);
    assert.equal(await accountsIn(target), 80);
  });

  it('A copy follows the deletion of a few records without a question', async () => {
    await loseAccounts(12);
    const { code, err } = await copy();
    assert.deepEqual([code, /12 records .* were deleted/.test(err)], [0, true], err);
    assert.equal(await accountsIn(target), 108);
  });
});
