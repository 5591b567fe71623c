import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

interface Replaced {
  /** The term of the glossary that takes its place. */
  term: string;
  word: RegExp;
  /** The number of uses that are left. Lower it with each one that goes; never raise it. */
  most: number;
}

const WORDS: readonly Replaced[] = [
  { term: 'revoke', word: /\b(?:tak(?:e|es|en|ing)|took) (?:\w+ )?back\b|\b(?:taken|taking)Back\b/gi, most: 0 },
  { term: 'rotate', word: /\bturn(?:s|ed)? (?:a|the) (?:key|refresh token)\b/gi, most: 0 },
  {
    term: 'not-before',
    word: /\bfrom before (?:a|no) cut\b|(?:write|latest|is)Cut\b|\bCutOf\b|\bcutLife\b/gi,
    most: 0,
  },
  { term: 'status index, status list', word: /\bplaces? in (?:a|the|its|their) (?:status )?list/gi, most: 0 },
  { term: 'index', word: /\bledgers?\b(?!\.example)/gi, most: 0 },
  { term: 'journal', word: /\bwalk(?:s|ed|ing)?\b|\bWalkParts\b/gi, most: 0 },
  { term: 'semaphore', word: /\bgates?\b|\bopenGate\b/gi, most: 0 },
  { term: 'wire error', word: /\bour-?face\b/gi, most: 0 },
  { term: 'event', word: /\boccurrences?\b|(?<!signal-)\bacquaintances?\b|\bstandstills?\b/gi, most: 0 },
  { term: 'context, dependencies', word: /\bscenes?\b|\b\w+Scene\b/gi, most: 0 },
  { term: 'context, dependencies', word: /\b(?:\w+)?Parts\b/g, most: 0 },
  { term: 'operator', word: /\bof the house\b|\bold apps of ours\b/gi, most: 0 },
];

/** Phrases that a reader has to read twice, with the plain form. */
const PHRASES: readonly Omit<Replaced, 'term'>[] = [
  { word: /\banew\b/gi, most: 0 },
  { word: /\bof ours\b/gi, most: 0 },
  { word: /\bis of the configuration\b/gi, most: 0 },
  { word: /\bworth a look\b/gi, most: 0 },
  { word: /\bprov(?:e|es|ed|ing) who\b/gi, most: 0 },
];

/** File names that say nothing of their content. */
const EMPTY_NAMES =
  /^(?:answered|attempt|base|cuts|echo|endings|gate|hints|ledger|needs|occurrence|our-face|parts|people|places|roles-word|row|scene|shape|standstill|steps|table|taken-back|taking-back|turn|walk|what-ends|what-is-asked|whose-it-was)(?:-scene)?\.ts$|-scene\.ts$/;

/** The glossary itself, and the list of stored records, whose names stay. */
const KEPT = ['docs/glossary.md', 'src/storage/records.md'];

const FOLDERS = ['src', 'docs', 'views', 'README.md', 'CONTRIBUTING.md', 'SECURITY.md'];

describe('The words of the repository', () => {
  const files = execFileSync('git', ['ls-files', ...FOLDERS], { encoding: 'utf8' })
    .trim()
    .split('\n');
  const texts = files
    .filter((file) => /\.(?:ts|js|md|eta)$/.test(file) && !KEPT.includes(file))
    .map((file) => readFileSync(file, 'utf8'));
  const glossary = readFileSync('docs/glossary.md', 'utf8');

  for (const { word, most } of [...WORDS, ...PHRASES]) {
    it(`The repository contains ${String(word)} at most ${most} times`, () => {
      const count = texts.reduce((sum, text) => sum + (text.match(word)?.length ?? 0), 0);
      assert.ok(count <= most, `found ${count} times: use the term of docs/glossary.md`);
    });
  }

  for (const { term, word } of WORDS) {
    it(`The glossary has a row "${term}" instead of ${String(word)}`, () => {
      assert.ok(glossary.includes(`\n| ${term} |`), `docs/glossary.md has no row "${term}"`);
    });
  }

  it('No file of src/ has a name that says nothing about its content', () => {
    const found = files.filter((file) => file.startsWith('src/') && EMPTY_NAMES.test(basename(file)));
    assert.deepEqual(found, []);
  });
});
