import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const LINK = /\]\(([^)#\s]*)(?:#([^)\s]+))?\)/g;

/** The anchors of a document's headings, as GitHub names them. */
function anchorsOf(file: string): Set<string> {
  const anchors = new Set<string>();
  const prose = readFileSync(file, 'utf8').replace(/^```.*?^```/gms, '');
  for (const [, heading = ''] of prose.matchAll(/^#+ (.*)$/gm)) {
    const words = heading.replace(/\]\([^)]*\)/g, '').toLowerCase();
    const anchor = words.replace(/[^\p{L}\p{N}\- _]/gu, '').replaceAll(' ', '-');
    let number = 0;
    while (anchors.has(number === 0 ? anchor : `${anchor}-${number}`)) number += 1;
    anchors.add(number === 0 ? anchor : `${anchor}-${number}`);
  }
  return anchors;
}

/** Tells whether a link of a document leads to a file of the project, and to a heading of it where one is named. */
function isThere(document: string, target: string, anchor: string | undefined): boolean {
  const file = target === '' ? join(ROOT, document) : join(ROOT, dirname(document), target);
  if (!existsSync(file)) return false;
  return anchor === undefined || !file.endsWith('.md') || anchorsOf(file).has(anchor);
}

describe('The links between documents', () => {
  const documents = execFileSync('git', ['ls-files', '*.md'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');

  for (const document of documents) {
    it(`Every link in ${document} leads to a file and a heading that exist`, () => {
      const links = [...readFileSync(join(ROOT, document), 'utf8').matchAll(LINK)];
      const local = links.filter(([, target = '']) => !/^[a-z]+:/.test(target));
      const broken = local.filter(([, target = '', anchor]) => !isThere(document, target, anchor));
      assert.deepEqual(
        broken.map(([link]) => link),
        [],
      );
    });
  }
});
