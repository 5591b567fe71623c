import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { openBackup, writeBackup } from '../../src/backup/backup-file.ts';
import { BackupRefused, Opening, Sealing } from '../../src/backup/sealed-stream.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { Item } from '../../src/storage/store.ts';

const secret = 'a passphrase of the operator';
const description = { id: 'backup_1', startedAt: 1000, masterKey: 'id' };
const CHUNK = 65_536 + 16;

describe('Backup files', function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-backup-'));
  const file = join(folder, 'whole');
  const items: Item[] = Array.from({ length: 1200 }, (_, at) => ({
    kind: 'record',
    key: `kind:${at}`,
    json: JSON.stringify(systemRandom.bytes(at === 7 ? 150_000 : 150).toString('base64')),
    version: at,
    ...(at % 2 === 0 && { expiresAt: at }),
    indexes: ['grüße', '\u2028'],
  }));
  items.push({ kind: 'bitmap', key: 'bits', bits: Buffer.from([0, 255, 10]), expiresAt: 5 });
  items.push({ kind: 'counter', key: 'count', sum: -1, expiresAt: 5 });
  items.push({ kind: 'member', index: 'index', key: 'key', expiresAt: 5 });
  let whole: Buffer;

  async function* batches(): AsyncGenerator<readonly Item[]> {
    yield items.slice(0, 700);
    yield [];
    yield items.slice(700);
  }

  before(async () => {
    await writeBackup(file, { secret, description, random: systemRandom }, batches());
    whole = readFileSync(file);
    assert.ok(whole.length > 3 * CHUNK, 'there are several chunks');
  });
  after(() => rmSync(folder, { recursive: true }));

  async function read(bytes: Buffer, passphrase = secret): Promise<Item[]> {
    const other = join(folder, 'other');
    writeFileSync(other, bytes);
    const opened = await openBackup(other, passphrase);
    assert.deepEqual(opened.description, description);
    const found: Item[] = [];
    for await (const batch of opened.items()) found.push(...batch);
    return found;
  }

  it('The backup reader returns what was written', async () => {
    assert.deepEqual(await read(whole), items);
  });

  it('A backup file contains nothing in clear, and two files of the same data differ', async () => {
    assert.equal(whole.includes('kind:'), false);
    const second = join(folder, 'second');
    await writeBackup(second, { secret, description, random: systemRandom }, batches());
    assert.notDeepEqual(readFileSync(second).subarray(0, 200), whole.subarray(0, 200));
  });

  it('The backup reader refuses a file that is cut, altered in its header or has extra bytes at the end', async () => {
    for (const end of [0, 5, 49, 50, 50 + CHUNK, whole.length - 1])
      await assert.rejects(read(whole.subarray(0, end)), BackupRefused, `cut at ${end}`);
    const altered = Buffer.from(whole);
    altered[20] = (altered[20] ?? 0) ^ 1;
    await assert.rejects(read(altered), BackupRefused);
    await assert.rejects(read(Buffer.concat([whole, Buffer.alloc(1)])), BackupRefused);
  });

  it('A reader refuses a file with any one of its bytes altered', async () => {
    const header = { bytes: whole.subarray(0, whole.indexOf('\n') + 33), key: systemRandom.bytes(32) };
    const sealed = await buffer(Readable.from([Buffer.from('content of one short chunk')]).pipe(new Sealing(header)));
    for (let at = header.bytes.length; at < sealed.length; at += 1) {
      const altered = Buffer.from(sealed);
      altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8));
      const opening = Readable.from([altered.subarray(header.bytes.length)]).pipe(new Opening(header));
      await assert.rejects(buffer(opening), BackupRefused, `altered at ${at}`);
    }
    // The header makes it another format, or another key, whose derivation takes long: a part of the salt stands for all.
    for (let at = 0; at < header.bytes.length; at += at < 18 ? 1 : 8) {
      const altered = Buffer.from(whole);
      altered[at] = (altered[at] ?? 0) ^ 1;
      await assert.rejects(read(altered), BackupRefused, `altered at ${at}`);
    }
  });

  it('The backup reader refuses a file with another passphrase, a newer format, or no backup at all', async () => {
    await assert.rejects(read(whole, `${secret}!`), /the passphrase is wrong/);
    const newer = Buffer.from(whole);
    newer.write('latchkey-backup 2\n', 'latin1');
    await assert.rejects(read(newer), /format 2, but this version of Latchkey reads only 1: use a newer version/);
    await assert.rejects(read(Buffer.from('SQLite format 3\0'.repeat(100))), /is not a Latchkey backup/);
  });

  it('The backup writer overwrites no existing file, and leaves nothing behind if it fails', async () => {
    await assert.rejects(writeBackup(file, { secret, description, random: systemRandom }, batches()), /already exists/);
    assert.deepEqual(readFileSync(file), whole);
    const failing = join(folder, 'failing');
    const broken = (async function* () {
      yield items.slice(0, 10);
      throw new Error('the store is away');
    })();
    await assert.rejects(
      writeBackup(failing, { secret, description, random: systemRandom }, broken),
      /the store is away/,
    );
    assert.throws(() => readFileSync(failing), /ENOENT/);
    assert.throws(() => readFileSync(`${failing}.part`), /ENOENT/);
  });
});

describe('Sealed streams', () => {
  const header = { bytes: Buffer.from('header'), key: systemRandom.bytes(32) };
  const content = systemRandom.bytes(3 * 65_536 + 100);
  let sealed: Buffer;

  const open = (bytes: Buffer): Promise<Buffer> => {
    const opening = new Opening(header);
    Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)]).pipe(opening);
    return buffer(opening);
  };

  before(async () => {
    sealed = (await buffer(Readable.from([content]).pipe(new Sealing(header)))).subarray(header.bytes.length);
  });

  it('A sealed stream of any length opens to its content', async () => {
    assert.deepEqual(await open(sealed), content);
    for (const length of [0, 1, 65_535, 65_536, 65_537, 131_072]) {
      const other = await buffer(Readable.from([content.subarray(0, length)]).pipe(new Sealing(header)));
      assert.deepEqual(await open(other.subarray(header.bytes.length)), content.subarray(0, length), `${length} bytes`);
    }
  });

  it('The backup reader refuses a sealed stream that is cut, extended, or altered in one bit', async () => {
    const ends = [0, 1, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK, sealed.length - 1];
    for (const end of ends) await assert.rejects(open(sealed.subarray(0, end)), BackupRefused, `cut at ${end}`);
    await assert.rejects(open(Buffer.concat([sealed, Buffer.alloc(1)])), BackupRefused);
    await assert.rejects(open(Buffer.concat([sealed, sealed])), BackupRefused);
    for (const at of [0, 100, CHUNK - 1, CHUNK, 2 * CHUNK + 5, sealed.length - 17, sealed.length - 1]) {
      const altered = Buffer.from(sealed);
      altered[at] = (altered[at] ?? 0) ^ 1;
      await assert.rejects(open(altered), BackupRefused, `altered at ${at}`);
    }
  });

  it('The backup reader refuses a sealed stream with swapped, repeated or missing chunks, or with another header', async () => {
    const [one, two, three, last] = [0, 1, 2, 3].map((at) => sealed.subarray(at * CHUNK, (at + 1) * CHUNK));
    assert.ok(one && two && three && last);
    for (const chunks of [
      [two, one, three, last],
      [one, one, two, three, last],
      [one, three, last],
      [one, two, three],
      [last],
      [one, two, last, three],
    ]) {
      await assert.rejects(open(Buffer.concat(chunks)), BackupRefused);
    }
    const other = await buffer(
      Readable.from([content]).pipe(new Sealing({ bytes: Buffer.from('HEADER'), key: header.key })),
    );
    await assert.rejects(open(other.subarray(header.bytes.length)), BackupRefused);
  });
});
