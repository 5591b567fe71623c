import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../support/command.ts';

const FOLDERS = ['.', 'docs', 'docs/guides', 'docs/decisions', 'docs/compose', 'keys', 'packaging'];
const ROOMS = readdirSync('src', { withFileTypes: true }).filter((entry) => entry.isDirectory());

/** Every document, and the files that tell operators what to run. */
const FILES = [...FOLDERS, ...ROOMS.map(({ name }) => join('src', name))].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => /\.(md|ya?ml)$/.test(name) && name !== 'package-lock.json')
    .map((name) => join(folder, name)),
);

/** A line of a shell, or text in backticks, that runs `latchkey`. */
const SHOWN = /(?:^\s*(?:\$ )?|`|"|&& |latchkey )latchkey ((?:[a-z-]+|--[a-z]+)(?: [^`"\n]*)?)(?=[`"\n])/gm;
/** Values in the place of names that stand for any. */
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  COMMAND: 'accounts',
  ACTION: 'list',
  TOKEN: 'a.b.c',
  EMAIL: 'ann@example.com',
  ACCOUNT: 'ann@example.com',
  ROLE: 'staff',
  ROLES: 'staff',
  N: '2',
  URL: 'https://login.example.com',
  INSTANT: '1h',
};

/** The line as somebody would type it, with all that may be left out. */
function typed(shown: string): string[] {
  const words = shown
    .replace(/ [>|<#].*$/, '')
    .replace(/[[\]…]/g, '')
    .replace(/\.\.\.$/, '')
    .split(/\s+/)
    .filter(Boolean);
  return words.map((word) => PLACEHOLDERS[word] ?? word.replace(/^['"]|[.,;:'"]+$/g, ''));
}

/** Commands that are named without what they need. */
const NAMED_ALONE = /needs (?:one of|an action|an? [A-Z])/;

const shown = new Map<string, string>();
for (const file of FILES) {
  for (const [, line = ''] of readFileSync(file, 'utf8').matchAll(SHOWN)) shown.set(line.trim(), file);
}

describe('The commands that the documents show', () => {
  // Found before anything is read or written, since this configuration is not there.
  const environment = { LATCHKEY_CONFIG: '/none/latchkey.yaml' };

  for (const [line, file] of shown) {
    it(`The program understands the command latchkey ${line} (${file})`, async () => {
      const [name, ...rest] = typed(line);
      const isWriter = name === 'init' || (name === 'secret' && rest.includes('--file'));
      const where = isWriter ? rest.map((word, at) => (rest[at - 1] === '--file' ? '/proc/none' : word)) : rest;
      const end = name === 'init' ? ['--config', '/proc/none/latchkey.yaml', '--yes'] : [];
      const { code, err } = await command([name ?? '', ...where, ...end], { environment });
      assert.ok(code !== 2 || NAMED_ALONE.test(err), err);
    });
  }

  it('The documents show at least forty commands', () => {
    assert.ok(shown.size >= 40, [...shown.keys()].join('\n'));
  });
});

describe('The actions of the commands', () => {
  const documents = ['docs/configuration.md', 'docs/accounts.md'].map((file) => readFileSync(file, 'utf8')).join('\n');
  const text = documents.replaceAll('`, `', '` `');

  for (const name of ['accounts', 'clients', 'issuers', 'keys', 'secret']) {
    it(`The documents show every action of latchkey ${name}`, async () => {
      const { err } = await command([name, 'none-of-them']);
      const actions = /actions: (.+)\)/.exec(err)?.[1]?.split(', ') ?? [];
      const missing = actions.filter(
        (action) => !text.includes(`latchkey ${name} ${action}`) && !text.includes(`\`${action} `),
      );
      assert.ok(actions.length > 0, err);
      assert.deepEqual(missing, []);
    });
  }
});

describe('The npm scripts that the documents show', () => {
  // Decisions name what was rejected, too.
  const files = FILES.filter((file) => !file.startsWith('docs/decisions'));
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };

  for (const file of files) {
    const names = [...readFileSync(file, 'utf8').matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name);
    const missing = names.filter((name) => !Object.hasOwn(scripts, name));
    if (names.length === 0) continue;
    it(`Every npm script that ${file} names exists`, () => {
      assert.deepEqual(missing, []);
    });
  }
});
