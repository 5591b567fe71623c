import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const LINK = /\]\(([^)#\s]+)(?:#[^)]*)?\)/g;

describe('A link between documents', () => {
  const documents = execFileSync('git', ['ls-files', '*.md'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');

  for (const document of documents) {
    it(`of ${document} leads to a file that is there`, () => {
      const links = [...readFileSync(join(ROOT, document), 'utf8').matchAll(LINK)].map(([, target = '']) => target);
      const local = links.filter((target) => !/^[a-z]+:/.test(target));
      const broken = local.filter((target) => !existsSync(join(ROOT, dirname(document), target)));
      assert.deepEqual(broken, []);
    });
  }
});
