import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXPIRING_KINDS, GRANT_KINDS, RECORD_KINDS } from '../../src/storage/kinds.ts';

const root = join(import.meta.dirname, '../..');
const KEYSPACE = /\b(?:keyspace|sealedKeyspace)(?:<[^;]*?>)?\(\s*['"`]([^'"`:$]+)['"`]\s*\)/g;
/** A value of the type, or a function that makes one: its text begins with the name. */
const NAMED = (type: string) => new RegExp(`\\b${type}\\s*(?:=>?|\\{\\s*return)\\s*['"\`]([^'"\`:$]+)`, 'g');
const TABLES = {
  Records: KEYSPACE,
  Indexes: NAMED('Index<[^=;]*?>'),
  Terms: NAMED('Term<[^=;]*?>'),
  Counters: NAMED('Counter'),
  Bitmaps: NAMED('Bitmap'),
};
/** What a source does that needs a name of its own. */
const USES = {
  Indexes: /\bindexes: \[[^\]]/,
  Terms: /\{ terms \}|\bterms: \[[^\]]/,
  Counters: /\.increment\(/,
  Bitmaps: /\.setBits\(/,
};

const sources = globSync('src/**/*.ts', { cwd: root })
  .filter((path) => !/^src\/(storage\/(?!(?:loading|format|upgrade)\.ts)|demo\/|resource-server\/)/.test(path))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
const page = readFileSync(join(root, 'src/storage/records.md'), 'utf8');

/** The rows of the table under a heading, each as its cells. */
function rowsOf(heading: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((row) => row.split('|').slice(1, -1).map((cell) => cell.trim())); // prettier-ignore
}

function namesIn(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? '');
}

describe('records.md', () => {
  for (const [heading, pattern] of Object.entries(TABLES)) {
    it(`records.md lists the ${heading.toLowerCase()} that the sources contain, each once, and no others`, () => {
      const used = new Set(sources.flatMap(({ text }) => namesIn(text, pattern)));
      const listed = rowsOf(heading).map(([name = '']) => name.replaceAll('`', ''));
      assert.deepEqual(listed.toSorted(), [...used].toSorted());
    });
  }

  it('The search for record names finds some in the sources', () => {
    assert.ok(sources.some(({ text }) => namesIn(text, TABLES.Records).length > 0));
    assert.ok(sources.some(({ text }) => namesIn(text, TABLES.Indexes).length > 0));
    assert.ok(sources.some(({ text }) => namesIn(text, TABLES.Counters).length > 0));
  });

  for (const [heading, use] of Object.entries(USES)) {
    it(`Every source file that writes ${heading.toLowerCase()} declares their names with a type`, () => {
      const pattern = TABLES[heading as keyof typeof USES];
      const unnamed = sources.filter(({ text }) => use.test(text) && namesIn(text, pattern).length === 0);
      assert.deepEqual(
        unnamed.map(({ path }) => path),
        [],
      );
    });
  }

  it('Each row of records.md has a key, role, content, TTL and size', () => {
    for (const row of Object.keys(TABLES).flatMap(rowsOf)) {
      assert.equal(row.length, 6, row.join(' | '));
      assert.ok(!row.includes(''), row.join(' | '));
      assert.match(row[2] ?? '', /^(records|grants)$/);
    }
  });

  it('records.md agrees with the kinds that a restore and a check know', () => {
    const rows = rowsOf('Records').map(([name = '', , role, , ttl = '']) => ({
      name: name.replaceAll('`', ''),
      role,
      isDurable: ttl.includes('durable'),
    }));
    const durable = rows.filter(({ role }) => role === 'records').map(({ name }) => name);
    assert.deepEqual([...RECORD_KINDS].toSorted(), durable.toSorted());
    const granted = rows.filter(({ role }) => role === 'grants').map(({ name }) => name);
    assert.deepEqual([...GRANT_KINDS].toSorted(), granted.toSorted());
    const expiring = rows.filter(({ role, isDurable }) => role === 'records' && !isDurable).map(({ name }) => name);
    assert.deepEqual([...EXPIRING_KINDS].toSorted(), expiring.toSorted());
    const members = rowsOf('Indexes').filter(
      ([, , role, members = '']) => role === 'records' && !members.includes('every'),
    );
    assert.deepEqual(members, [], 'a member without a record is in the grants store');
  });

  it('Everything in the grants store has an expiry', () => {
    for (const [name, , role, , ttl] of Object.keys(TABLES).flatMap(rowsOf)) {
      assert.ok(role !== 'grants' || ttl !== 'durable', name);
    }
  });
});
