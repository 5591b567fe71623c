import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

interface Checker {
  LEVELS: readonly Readonly<Record<string, unknown>>[];
  EXCEPTIONS: readonly { from: string; to: string }[];
  SIDE_ROOMS: Readonly<Record<string, readonly string[]>>;
  ENTRIES: readonly string[];
  /** The rooms that each room may import from. */
  MAY_IMPORT: Readonly<Record<string, readonly string[]>>;
}

const checker = (await import(resolve('.dependency-cruiser.js'))) as Checker;
const { LEVELS, EXCEPTIONS, SIDE_ROOMS, ENTRIES, MAY_IMPORT } = checker;

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', 'src'], {
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .filter((file) => existsSync(file));
const folders = [...new Set(files.map((file) => dirname(file)))].filter((folder) => folder !== 'src').toSorted();

const readmeOf = (folder: string): string => readFileSync(join(folder, 'README.md'), 'utf8').trimEnd();

/** The rooms in the first sentence of "May import". A name in backticks without a slash is a package. */
function statedRooms(folder: string): string[] {
  const [, list] = /\bMay import: (.+?)(?:[.;](?=\s|$)|$)/m.exec(readmeOf(folder)) ?? assert.fail('no "May import: …"');
  const named = [...(list ?? '').matchAll(/`([\w/-]+)\/`/g)].map(([, room = '']) => room);
  return (list?.startsWith('everything below it') === true ? [...roomsBelow(folder), ...named] : named).toSorted();
}

function roomsBelow(folder: string): string[] {
  const level = LEVELS.findIndex((rooms) => relative('src', folder) in rooms);
  return LEVELS.slice(0, level).flatMap((rooms) => Object.keys(rooms));
}

/** Each way to state the rule of the checker. It has one rule for a room and for the folders in it. */
function ruleOf(folder: string): string[][] {
  const [room = '', ...inner] = relative('src', folder).split('/');
  const rooms = MAY_IMPORT[room] ?? assert.fail(`the checker has no row for ${room}`);
  return inner.length === 0 ? [[...rooms].toSorted()] : [[room], [...rooms, room].toSorted()];
}

describe('The README files of the folders', () => {
  for (const folder of [...folders, 'views']) {
    it(`The README of ${folder} says in at most 15 lines what the folder owns`, () => {
      const file = join(folder, 'README.md');
      assert.ok(existsSync(file), `${file} is missing`);
      const lines = readmeOf(folder).split('\n');
      assert.ok(lines.length <= 15, `${file} has ${lines.length} lines`);
    });

    it(`The README of ${folder} names only files that exist`, () => {
      const named = [...readmeOf(folder).matchAll(/`([\w/-]+\.(?:ts|js|md|css|html))`/g)].map(([, name = '']) => name);
      const missing = named.filter((name) => ![folder, 'src', '.'].some((from) => existsSync(join(from, name))));
      assert.deepEqual(missing, []);
    });
  }

  for (const folder of folders) {
    it(`The README of ${folder} names the rooms from which the import checker lets it import`, () => {
      const stated = statedRooms(folder);
      const rules = ruleOf(folder);
      const isRule = rules.some((rooms) => rooms.join() === stated.join());
      if (!isRule) assert.deepEqual(stated, rules.at(-1));
    });
  }
});

describe('The import checker', () => {
  const named = {
    LEVELS: LEVELS.flatMap((rooms) => Object.keys(rooms)),
    EXCEPTIONS: EXCEPTIONS.flatMap(({ from, to }) => [from, to]),
    SIDE_ROOMS: Object.entries(SIDE_ROOMS).flat(2),
    ENTRIES,
    MAY_IMPORT: Object.entries(MAY_IMPORT).flat(2),
  };
  for (const [list, rooms] of Object.entries(named)) {
    it(`The import checker’s ${list} names only rooms that exist`, () => {
      const isThere = (room: string) => files.some((file) => file === `src/${room}` || file.startsWith(`src/${room}/`));
      assert.ok(rooms.length > 0);
      assert.deepEqual(
        rooms.filter((room) => !isThere(room)),
        [],
      );
    });
  }

  it('The import checker has no exception and no list of importers that nothing uses', () => {
    const imports = files
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) =>
        [...readFileSync(file, 'utf8').matchAll(/(?:from|import\(?) ?'(\.[^']+)'/g)].map(([, to = '']) => ({
          from: relative('src', file),
          to: relative('src', join(dirname(file), to)),
        })),
      );
    const isIn = (file: string, room: string) => file === room || file.startsWith(`${room}/`);
    const isUsed = (from: string, to: string) => imports.some((one) => isIn(one.from, from) && isIn(one.to, to));
    const allowed = [
      ...EXCEPTIONS,
      ...Object.entries(SIDE_ROOMS).flatMap(([to, importers]) => importers.map((from) => ({ from, to }))),
    ];
    assert.deepEqual(
      allowed.filter(({ from, to }) => !isUsed(from, to)),
      [],
    );
  });
});
