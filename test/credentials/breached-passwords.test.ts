import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBreachedPasswords } from '../../src/credentials/breached-passwords.ts';

const hashOf = (password: string): string => hash('sha1', password, 'hex').toUpperCase();
const many = Array.from({ length: 2000 }, (_, index) => `breached number ${index}`);

describe('Breached passwords', () => {
  let directory: string;
  let failures: unknown[];
  beforeEach(() => {
    failures = [];
    directory = mkdtempSync(join(tmpdir(), 'latchkey-breached-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const open = (options: Parameters<typeof openBreachedPasswords>[0], allow: string[] = []) =>
    openBreachedPasswords(options, { allow, reportFailure: (err) => failures.push(err) });

  function fileOf(lines: readonly string[], end = '\n'): string {
    const file = join(directory, 'hashes.txt');
    writeFileSync(file, lines.toSorted().join('\n') + end);
    return file;
  }

  it('The breached password check finds exactly the passwords whose hashes are in the sorted file', async () => {
    const hashes = many.map(hashOf);
    const forms: [lines: string[], end: string][] = [
      [hashes.map((one, index) => `${one}:${index + 1}`), '\n'],
      [hashes.map((one) => `${one}:7\r`), '\n'],
      [hashes, ''],
      [hashes.map((one) => one.toLowerCase()), '\n'],
    ];
    for (const [lines, end] of forms) {
      const isBreached = open({ file: fileOf(lines, end) });
      for (const password of many) assert.equal(await isBreached(password), true, password);
      for (let index = 0; index < 200; index += 1) assert.equal(await isBreached(`another one ${index}`), false);
    }
    assert.deepEqual(failures, []);
  });

  it('The breached password check works with an empty file and with a file of one line', async () => {
    assert.equal(await open({ file: fileOf([], '') })('anything'), false);
    const isBreached = open({ file: fileOf([hashOf('one alone')]) });
    assert.deepEqual([await isBreached('one alone'), await isBreached('another')], [true, false]);
  });

  it('The breached password check passes every password if the file is missing, and reports the failure', async () => {
    assert.equal(await open({ file: join(directory, 'none') })('anything'), false);
    assert.equal(failures.length, 1);
  });

  it('The breached password check sends only five digits of the hash to the range service', async () => {
    const asked: string[] = [];
    let status = 200;
    const server = createServer(({ url = '', headers }, response) => {
      asked.push(url);
      assert.equal(headers['add-padding'], 'true');
      const suffixes = [hashOf('a breached one').slice(5), hashOf('a padding entry').slice(5)];
      response.writeHead(status).end(`${'0'.repeat(35)}:3\r\n${suffixes[0] ?? ''}:12\r\n${suffixes[1] ?? ''}:0\r\n`);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      const isBreached = open({ range_url: `http://${host}/range/` }, [host]);
      assert.equal(await isBreached('a breached one'), true);
      assert.equal(await isBreached('a padding entry'), false);
      assert.equal(await isBreached('an unknown one'), false);
      assert.deepEqual(
        asked,
        ['a breached one', 'a padding entry', 'an unknown one'].map((one) => `/range/${hashOf(one).slice(0, 5)}`),
      );
      status = 503;
      assert.equal(await isBreached('a breached one'), false);
      assert.equal(failures.length, 1);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it('The breached password check refuses a range service at a private address that the operator has not allowed', async () => {
    assert.equal(await open({ range_url: 'https://127.0.0.1/range/' })('anything'), false);
    assert.match(String(failures[0]), /not public/);
  });
});
