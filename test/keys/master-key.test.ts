import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { systemRandom } from '../../src/lib/random.ts';
import { MasterKeyError, type MasterKeyFault } from '../../src/keys/master-key-error.ts';
import { type MasterKey, openMasterKey } from '../../src/keys/master-key.ts';

describe('The master key', () => {
  let directory: string;
  let path: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'latchkey-master-key-'));
    path = join(directory, 'master.key');
  });
  afterEach(() => rm(directory, { recursive: true }));

  const openKey = (create: boolean): Promise<MasterKey> => openMasterKey(directory, { create, random: systemRandom });

  async function refusal(reason: MasterKeyFault, attempt: Promise<unknown>): Promise<string> {
    const error = await attempt.then(
      () => assert.fail('was accepted'),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof MasterKeyError, String(error));
    assert.equal(error.reason, reason);
    assert.ok(error.message.includes(path), 'the message names the file');
    return error.message;
  }

  it('The first use creates a master key that only its owner can read, and later uses find it', async () => {
    const made = await openKey(true);
    assert.match(await readFile(path, 'utf8'), /^[\w-]{43}\n$/);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await openKey(true)).id, made.id);
    assert.equal((await openKey(false)).id, made.id);
  });

  it('Simultaneous first uses create one master key and leave no drafts', async () => {
    const keys = await Promise.all(Array.from({ length: 50 }, () => openKey(true)));
    assert.equal(new Set(keys.map((key) => key.id)).size, 1);
    assert.deepEqual(await readdir(directory), ['master.key']);
  });

  it('The first use creates a missing key directory that is closed to others', async () => {
    const below = join(directory, 'new', 'keys');
    await openMasterKey(below, { create: true, random: systemRandom });
    assert.equal((await stat(below)).mode & 0o077, 0);
  });

  it('A missing master key is refused, and not created unless that is allowed', async () => {
    assert.match(await refusal('missing', openKey(false)), /^There is no master key at .*keys\/README\.md/);
    assert.deepEqual(await readdir(directory), []);
  });

  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o666]) {
    it(`A master key file with mode ${mode.toString(8)} is refused, even if a key may be created`, async () => {
      await openKey(true);
      await chmod(path, mode);
      const message = await refusal('exposed', openKey(true));
      assert.ok(message.endsWith(`(mode 0${mode.toString(8)}). Run: chmod 600 ${path}`), message);
    });
  }

  it('A symbolic link to a file that others can read is refused', async () => {
    const target = join(directory, 'elsewhere');
    await writeFile(target, systemRandom.bytes(32).toString('base64url'));
    await chmod(target, 0o644);
    await symlink(target, path);
    await refusal('exposed', openKey(false));
  });

  const malformed: Record<string, string> = {
    'an empty file': '',
    '31 bytes': Buffer.alloc(31, 7).toString('base64url'),
    '33 bytes': Buffer.alloc(33, 7).toString('base64url'),
    'plain base64': Buffer.alloc(32, 0xff).toString('base64'),
    'stray characters': `${Buffer.alloc(32, 7).toString('base64url')}!`,
    'two lines': `${Buffer.alloc(16, 7).toString('base64url')}\n${Buffer.alloc(16, 7).toString('base64url')}`,
    'bits that no encoder leaves': `${'A'.repeat(42)}B`,
  };
  for (const [what, text] of Object.entries(malformed)) {
    it(`A master key file with ${what} is refused and left unchanged`, async () => {
      await writeFile(path, text, { mode: 0o600 });
      const message = await refusal('malformed', openKey(true));
      assert.match(message, /must be 32 random bytes as 43 characters of base64url/);
      assert.equal(await readFile(path, 'utf8'), text);
    });
  }

  it('A master key file that cannot be read is refused with the reason', async () => {
    path = join(path, 'master.key');
    await writeFile(join(directory, 'master.key'), 'a file where the directory should be', { mode: 0o600 });
    const attempt = openMasterKey(join(directory, 'master.key'), { create: true, random: systemRandom });
    assert.match(await refusal('inaccessible', attempt), /ENOTDIR|EEXIST/);
  });

  it('The master key opens the text and the bytes that it has sealed', async () => {
    const key = await openKey(true);
    assert.equal((await key.open(await key.seal('a seed', 'totp'), 'totp')).toString(), 'a seed');
    const bytes = systemRandom.bytes(300);
    assert.deepEqual(await key.open(await key.seal(bytes, 'totp'), 'totp'), bytes);
  });

  it('The master key seals the same text to different bytes each time, with only its id in the header', async () => {
    const key = await openKey(true);
    const [first, second] = await Promise.all([key.seal('a seed', 'totp'), key.seal('a seed', 'totp')]);
    assert.notEqual(first, second);
    const header: unknown = JSON.parse(Buffer.from(String(first.split('.')[0]), 'base64url').toString());
    assert.deepEqual(header, { alg: 'dir', enc: 'A256GCM', kid: key.id });
  });

  it('The master key does not open what was sealed for another purpose', async () => {
    const key = await openKey(true);
    const sealed = await key.seal('a seed', 'totp:alice');
    assert.match(
      await refusal('damaged', key.open(sealed, 'totp:mallory')),
      /"totp:mallory" in the store was damaged or altered/,
    );
  });

  it('The master key does not open a text of which any part was altered', async () => {
    const key = await openKey(true);
    const parts = (await key.seal('a seed', 'totp')).split('.');
    for (const at of [2, 3, 4]) {
      const altered = parts.map((part, index) => (index === at ? flipFirst(part) : part)).join('.');
      await refusal('damaged', key.open(altered, 'totp'));
    }
    for (const text of ['', 'a seed', '....', parts.slice(0, 4).join('.')]) {
      await refusal('damaged', key.open(text, 'totp'));
    }
  });

  it('Sealed text cannot choose the algorithm', async () => {
    const key = await openKey(true);
    const parts = (await key.seal('a seed', 'totp')).split('.');
    const header = { alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', p2c: 2 ** 31, p2s: 'AAAA', kid: key.id };
    const forged = [Buffer.from(JSON.stringify(header)).toString('base64url'), ...parts.slice(1)].join('.');
    await refusal('damaged', key.open(forged, 'totp'));
  });

  it('The error names both keys if another master key sealed the text', async () => {
    const lost = await openKey(true);
    const sealed = await lost.seal('a seed', 'totp');
    await rm(path);
    const key = await openKey(true);
    const message = await refusal('wrong', key.open(sealed, 'totp'));
    assert.ok(message.includes(`holds key ${key.id}, but the store is sealed under ${lost.id}`), message);
  });

  it('The master key does not reveal itself when it is printed', async () => {
    const key = await openKey(true);
    const secret = (await readFile(path, 'utf8')).trim();
    const shown = inspect(key, { depth: null, showHidden: true }) + JSON.stringify(key);
    assert.ok(!shown.includes(secret));
    assert.ok(!shown.includes(Buffer.from(secret, 'base64url').toString('hex')));
  });
});

function flipFirst(part: string): string {
  return (part.startsWith('A') ? 'B' : 'A') + part.slice(1);
}
