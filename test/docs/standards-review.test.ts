import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

const HEAD = ['Section', 'Requirement', 'Tests, or why there are none'];

/** The cells of every line of a table, heads included, rules left out. */
function rowsOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|(?:---\|)+$/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe('The review of the standards', () => {
  const [, ...chapters] = readFileSync('docs/standards/review.md', 'utf8').split(/^## /m);
  const reviewed = new Map(
    chapters.map((chapter) => [chapter.split('\n', 1)[0] ?? '', rowsOf(chapter).slice(1)] as const),
  );

  it('The review of the standards has a chapter for each standard of the list, and for no other', () => {
    const listed = rowsOf(readFileSync('docs/standards.md', 'utf8'))
      .map(([name = '']) => name)
      .filter((name) => name !== 'Standard');
    assert.ok(listed.length > 60);
    assert.deepEqual([...reviewed.keys()], listed);
  });

  it('Each chapter of the review of the standards has a table with three columns', () => {
    for (const chapter of chapters) {
      const [head, ...rows] = rowsOf(chapter);
      assert.deepEqual(head, HEAD, chapter.slice(0, 60));
      assert.ok(rows.length > 0, chapter.slice(0, 60));
      for (const row of rows) assert.ok(row.length === 3 && row.every((cell) => cell !== ''), row.join(' | '));
    }
  });

  for (const [standard, rows] of reviewed) {
    it(`The review of ${standard} names tests that exist, or says why there are none`, () => {
      for (const [section = '', asked = '', shown = ''] of rows) {
        const what = `${section} ${asked}: ${shown}`;
        if (/^(?:Not applicable|Gap): \S.{10}/.test(shown)) continue;
        assert.match(shown, /^`[\w/.-]+\.test\.ts`(?:, `[\w/.-]+\.test\.ts`)*$/, what);
        const tests = [...shown.matchAll(/`([^`]+)`/g)].map(([, path = '']) => `test/${path}`);
        assert.deepEqual(
          tests.filter((path) => !existsSync(path)),
          [],
          what,
        );
      }
    });
  }
});
