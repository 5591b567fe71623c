import { statSync } from 'node:fs';
import { StoreUnavailable } from '../store.ts';

/**
 * Tells whether the database is still the file of its name. A removed or replaced file still answers, while other
 * processes, and the next start, find another or none. The log beside it (`-wal`) holds the latest writes.
 */
export class FileIdentity {
  readonly #path: string;
  readonly #inodes: (number | undefined)[];

  constructor(path: string) {
    this.#path = path;
    this.#inodes = this.#look();
  }

  /** @throws StoreUnavailable */
  check(): void {
    const found = this.#look();
    if (found.every((inode, at) => inode === this.#inodes[at])) return;
    throw new StoreUnavailable(
      `the file ${this.#path} or its -wal was removed or replaced while it was in use: stop every server that uses it, ` +
        'put the right file back without a -wal and -shm of another, and start again',
    );
  }

  #look(): (number | undefined)[] {
    return [this.#path, `${this.#path}-wal`].map((path) => statSync(path, { throwIfNoEntry: false })?.ino);
  }
}
