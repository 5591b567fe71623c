import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { AcknowledgedUse } from './acknowledged-use.ts';
import { newPlace, type Place } from './command.ts';

/** A place for a store that can be filled up. */
interface Disk {
  readonly directory: string;
  fill(): void;
  makeRoom(): void;
  remove(): void;
}

const MEBIBYTE = 1024 * 1024;

/** A disk of its own, where this process may mount one; else a limit of this process's files (`RLIMIT_FSIZE`). */
function smallDisk(): Disk {
  const directory = mkdtempSync(join(tmpdir(), 'latchkey-full-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', directory], { stdio: 'ignore' });
  } catch {
    return limitedFiles(directory);
  }
  const ballast = join(directory, 'ballast');
  return {
    directory,
    fill() {
      const file = openSync(ballast, 'a');
      try {
        for (let size = MEBIBYTE; size >= 1;) size = writes(file, size) ? size : Math.floor(size / 2);
      } finally {
        closeSync(file);
      }
    },
    makeRoom: () => {
      rmSync(ballast, { force: true });
    },
    remove() {
      execFileSync('umount', ['--lazy', directory]);
      rmSync(directory, { recursive: true });
    },
  };
}

/** @returns false where there is no room for so many bytes */
function writes(file: number, size: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(size)) > 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}

function limitedFiles(directory: string): Disk {
  // The signal would end the process; ignored, it leaves the error of the write.
  const ignore = (): void => undefined;
  const limit = (size: string) => execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${size}:`]);
  process.on('SIGXFSZ', ignore);
  return {
    directory,
    fill() {
      limit(String(Math.max(...['store.db', 'store.db-wal'].map((name) => statSync(join(directory, name)).size))));
    },
    makeRoom: () => {
      limit('unlimited');
    },
    remove() {
      process.off('SIGXFSZ', ignore);
      rmSync(directory, { recursive: true });
    },
  };
}

describe('A server whose disk is full', function () {
  this.timeout(240_000);
  let disk: Disk;
  let place: Place;
  let server: TestServer;
  let use: AcknowledgedUse;

  const start = () => startTestServer({ store: place.store, sameAs: place });
  const becomes = (status: number) => until(async () => (await fetch(`${server.issuer}/readyz`)).status === status);

  before(async () => {
    disk = smallDisk();
    place = await newPlace(`sqlite:${join(disk.directory, 'store.db')}`);
    server = await start();
    use = await AcknowledgedUse.begin(server.issuer);
  });
  after(async () => {
    disk.makeRoom();
    await server.close();
    await place.remove();
    disk.remove();
  });

  it('The server answers 503 while its disk is full, and keeps everything that it acknowledged', async () => {
    await use.next();
    disk.fill();
    const before = use.refused;
    await until(async () => {
      await use.next();
      return use.refused >= before + 5;
    }, 90_000);
    await becomes(503);
    disk.makeRoom();
    await becomes(200);
    const { acknowledged, refused } = use;
    await use.next();
    assert.deepEqual([use.acknowledged, use.refused], [acknowledged + 2, refused], 'nothing is refused any more');
    await server.close();
    server = await start();
    await use.assertKept();
  });
});
