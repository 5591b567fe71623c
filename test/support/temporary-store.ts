import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '../../src/storage/sqlite/sqlite-store.ts';
import { type Store, StoreUnavailable } from '../../src/storage/store.ts';
import { MovedClock } from './clock.ts';

export interface TemporaryStore {
  store: Store;
  clock: MovedClock;
  /** Another handle on the same file, as another process would hold. */
  again(): Store;
  remove(): Promise<void>;
}

export function temporaryStore(): TemporaryStore {
  const directory = mkdtempSync(join(tmpdir(), 'latchkey-test-'));
  const clock = new MovedClock();
  const handles: Store[] = [];
  const open = (): Store => {
    const handle = openSqliteStore(join(directory, 'store.db'), clock);
    handles.push(handle);
    return handle;
  };
  return {
    store: open(),
    clock,
    again: open,
    async remove() {
      await Promise.all(handles.map((handle) => handle.close()));
      rmSync(directory, { recursive: true });
    },
  };
}

const WRITES = new Set<string | symbol>(['set', 'create', 'replace', 'consume', 'take', 'delete', 'increment']);

/** The store as seen by a process that dies after so many writes: later ones never reach it. */
export function dyingStore(store: Store, writes: number): Store {
  let left = writes;
  return new Proxy(store, {
    get(target, name): unknown {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...given: unknown[]): unknown => {
        if (WRITES.has(name) && left-- <= 0) return Promise.reject(new StoreUnavailable('the process has died'));
        return Reflect.apply(member, target, given);
      };
    },
  });
}

/** The store as seen by a process that something happens to before one of its calls. @param before runs before each call */
export function interruptedStore(store: Store, before: (name: string, key: unknown) => unknown): Store {
  return new Proxy(store, {
    get(target, name): unknown {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return async (...given: unknown[]): Promise<unknown> => {
        await before(String(name), given[0]);
        return Reflect.apply(member, target, given) as unknown;
      };
    },
  });
}
