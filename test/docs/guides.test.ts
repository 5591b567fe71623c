import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfig } from '../../src/config/loading/load.ts';
import { startTestServer } from '../support/server.ts';

const FOLDER = 'docs/guides';
const ISSUER = 'https://login.example.com';
const INDEX = readFileSync(join(FOLDER, 'README.md'), 'utf8');
const PAGES = readdirSync(FOLDER).filter((name) => name !== 'README.md');
const RUN = ['apps.test.ts', 'guides.test.ts']
  .map((file) => readFileSync(join('test/guides', file), 'utf8'))
  .join('\n');

/** Tells whether the tests of the guides run this one: it stands among their names. */
function isRun(name: string): boolean {
  return new RegExp(`^ *'?${name}'?: \\{|'${name}'`, 'm').test(RUN);
}

describe('The guides', () => {
  for (const page of PAGES) {
    const text = readFileSync(join(FOLDER, page), 'utf8');
    const [, yaml] = /^Configure Latchkey.*?:\n\n```yaml\n(.*?)^```/ms.exec(text) ?? [];

    it(`The index of the guides lists ${page}, and marks it if a test runs it`, () => {
      const [, mark] = new RegExp(`\\]\\(${page.replace('.', '\\.')}\\)( ✓)?`).exec(INDEX) ?? assert.fail(page);
      assert.equal(mark !== undefined, isRun(page.replace('.md', '')));
    });

    if (yaml !== undefined) {
      it(`The server accepts the configuration in the guide ${page} without a warning`, () => {
        const source = { name: page, text: `issuer: ${ISSUER}\n${yaml}`, folder: '/' };
        const environment = { CLIENT_SECRET: 'Q2hhbmdlIG1lIGJ5IG9wZW5zc2wgcmFuZCAtYmFzZTY0' };
        assert.deepEqual(parseConfig(source, { environment }).warnings, []);
      });
    }
  }

  it('The index of the guides lists the addresses of the server’s metadata', async () => {
    const stated = [...INDEX.matchAll(/^\|[^|]+\| `(\w+)` \| `(\S+)`/gm)].map(([, name = '', address = '']) => [
      name,
      address,
    ]);
    await using server = await startTestServer();
    const response = await fetch(`${server.issuer}/.well-known/openid-configuration`);
    const metadata = (await response.json()) as Record<string, unknown>;
    const told = stated.map(([name = '']) => [name, String(metadata[name]).replace(server.issuer, ISSUER)]);
    assert.ok(stated.length >= 10);
    assert.deepEqual(stated, told);
  });
});
