import assert from 'node:assert/strict';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Item, Store } from '../../src/storage/store.ts';
import { postgres, sqlite, type RunningBackend } from './backends.ts';

for (const backend of [sqlite, postgres]) {
  describe(`A dump of ${backend.name}`, () => {
    let running: RunningBackend;
    let store: Store;

    before(async () => {
      running = await backend.start();
      store = await openStore(running.url, systemClock);
    });
    after(async () => {
      await store.close();
      await running.stop();
    });

    it('A dump shows the store at one instant, even if others write or delete while it is read', async () => {
      const ids = Array.from({ length: 2000 }, (_, at) => `kind:${String(at).padStart(4, '0')}`);
      await Promise.all(ids.map((id) => store.set(id, 'before', { indexes: ['all'] })));
      await store.increment('counter', 1, 600);
      const read = new Map<string, Item>();
      let isFirst = true;
      for await (const batch of store.dump()) {
        for (const item of batch) read.set(item.key, item);
        if (!isFirst) continue;
        isFirst = false;
        await Promise.all(ids.map((id, at) => (at % 2 === 0 ? store.delete(id) : store.set(id, 'after'))));
        await store.set('kind:9999', 'after');
        await store.increment('counter', 1, 600);
      }
      assert.deepEqual([...read.keys()].toSorted(), ['counter', ...ids]);
      for (const id of ids) assert.equal((read.get(id) as { json: string }).json, '"before"', id);
      assert.equal((read.get('counter') as { sum: number }).sum, 1);
    });
  });
}
