import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folders = readdirSync('src', { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => join('src', name))
  .filter((folder) => readdirSync(folder).length > 0);

describe('The README of a folder', () => {
  for (const folder of [...folders, 'views']) {
    it(`says in at most 15 lines what ${folder} owns`, () => {
      const file = join(folder, 'README.md');
      assert.ok(existsSync(file), `${file} is missing`);
      const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
      assert.ok(lines.length <= 15, `${file} has ${lines.length} lines`);
    });

    it(`names in ${folder} only files that are there`, () => {
      const text = readFileSync(join(folder, 'README.md'), 'utf8');
      const named = [...text.matchAll(/`([\w/-]+\.(?:ts|md|css))`/g)].map(([, name = '']) => name);
      const missing = named.filter((name) => ![folder, 'src', '.'].some((from) => existsSync(join(from, name))));
      assert.deepEqual(missing, []);
    });
  }
});
