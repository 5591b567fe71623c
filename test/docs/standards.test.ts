import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';

const STATES = ['Done', 'Partly', 'Off', 'Not yet', 'Absent'];

/** The cells of every row of a document's tables, without the heads. */
function rowsOf(document: string): string[][] {
  return readFileSync(document, 'utf8')
    .split(/^\|(?:---\|)+$/m)
    .slice(1)
    .flatMap((table) => /^\n(?:\|.*\n?)*/.exec(table)?.[0].trim().split('\n') ?? [])
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

const testsOf = (row: readonly string[]): string[] =>
  [...(row.at(-1) ?? '').matchAll(/`([^`]+)`/g)].map(([, path = '']) => `test/${path}`);

/** What the README of a folder says it follows, without sections and remarks. */
function specsOf(readme: string): string {
  const [, specs = ''] = /Specs: (.+?)\.(?=\n| May import|$)/s.exec(readFileSync(readme, 'utf8')) ?? [];
  return specs.replaceAll(/\([^)]*\)/g, '').replaceAll(/§[\d.]+(?: and §[\d.]+)*/g, '');
}

describe('The list of standards', () => {
  const rows = rowsOf('docs/standards.md');
  const names = rows.map(([name = '']) => name).join('\n');

  it('The list of standards gives each one a state, and names its tests or the reason for its absence', () => {
    assert.ok(rows.length > 60);
    for (const row of rows) {
      const [name, state = '', text = ''] = row;
      assert.ok(row.length === 4 && STATES.includes(state), `${name ?? ''}: ${state}`);
      if (state === 'Absent' || state === 'Partly') assert.ok(text.length > 20, name);
      if (state !== 'Absent' && state !== 'Not yet') assert.ok(testsOf(row).length > 0, name);
    }
  });

  for (const readme of globSync('src/*/README.md')) {
    it(`The list of standards contains every one that ${readme} names`, () => {
      const specs = specsOf(readme);
      const numbers = [...specs.matchAll(/\b(\d{4,5})\b/g)].map(([, number = '']) => `RFC ${number}`);
      const others = specs
        .replaceAll(/\b(?:RFC )?\d{4,5}\b/g, '')
        .split(/[,;]|\band\b/)
        .map((name) =>
          name
            .replace(/^\s*draft /, '')
            .replace(/ for .*$/s, '')
            .trim(),
        )
        .filter((name) => /[A-Z]/.test(name));
      assert.deepEqual(
        [...numbers, ...others].filter((name) => !names.includes(name)),
        [],
      );
    });
  }
});

describe('The list of attacks', () => {
  const document = readFileSync('docs/security.md', 'utf8');
  const rows = rowsOf('docs/security.md');

  it('The list of attacks covers every section of RFC 9700 §4', () => {
    const sections = rows.flatMap(([name = '']) => /^§4\.(\d+)$/.exec(name)?.[1] ?? []);
    assert.deepEqual(
      sections.map(Number),
      Array.from({ length: 17 }, (_, index) => index + 1),
    );
  });

  it('The list of attacks names a test for each one, and every file in test/attacks', () => {
    for (const row of rows) assert.ok(testsOf(row).length > 0, row[0]);
    const unnamed = globSync('attacks/*.test.ts', { cwd: 'test' }).filter((path) => !document.includes(`\`${path}\``));
    assert.deepEqual(unnamed, []);
  });
});

describe('The documents that name tests', () => {
  for (const document of ['docs/standards.md', 'docs/security.md']) {
    it(`Every test that ${document} names exists`, () => {
      const named = rowsOf(document).flatMap(testsOf);
      assert.ok(named.length > 20);
      assert.deepEqual(
        named.filter((path) => !existsSync(path)),
        [],
      );
    });
  }
});
