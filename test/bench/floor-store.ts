import { DatabaseSync } from 'node:sqlite';
import { Redis } from 'ioredis';

/** A store without verbs: one record read, one record written. */
export interface FloorStore {
  read(): unknown;
  write(): unknown;
}

/** About what a code, a token or a session takes. */
const VALUE = 'x'.repeat(700);
const TTL = 3_600_000;

export function openFloorStore(url: string): FloorStore {
  return url.startsWith('sqlite:') ? openSqlite(url.slice('sqlite:'.length)) : openRedis(url);
}

function openSqlite(path: string): FloorStore {
  const database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
  database.exec('CREATE TABLE floor (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL, expires_at INTEGER) STRICT');
  const get = database.prepare('SELECT value, expires_at FROM floor WHERE key = ?');
  const set = database.prepare('INSERT INTO floor (key, value, expires_at) VALUES (?, ?, ?)');
  const name = keyNames();
  return {
    read: () => get.get(name.last()),
    write: () => set.run(name.next(), VALUE, Date.now() + TTL),
  };
}

function openRedis(url: string): FloorStore {
  const client = new Redis(url, { enableAutoPipelining: true });
  const name = keyNames();
  return {
    read: () => client.get(name.last()),
    write: () => client.set(name.next(), VALUE, 'PX', TTL),
  };
}

/** Keys as long as the server's, in no order. */
function keyNames(): { last(): string; next(): string } {
  let count = 0;
  const at = (number: number): string => `floor:${((number * 0x9e3779b1) >>> 0).toString(16).padStart(43, '0')}`;
  return { last: () => at(count), next: () => at((count += 1)) };
}
