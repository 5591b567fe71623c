import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';

const TITLE = /^\s*it\(\s*(['"`])(.+?)\1/gm;
/** A subject that begins with a small letter: a package, a program or a parameter, which has a sign or a digit in it. */
const SMALL = /^[a-z]+(?:[-_.=/\d]\S*) |^(?:npm|mod_auth) /;

/** A title is read without the `describe` around it: in a list of failures, or in a search. */
describe('The title of a test', () => {
  const titles = globSync('test/**/*.test.ts').flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(TITLE)].map(([, , title = '']) => ({ file, title })),
  );

  it('The title of a test begins with its subject', () => {
    assert.ok(titles.length > 1000);
    const clipped = titles.filter(({ title }) => /^[a-z]/.test(title) && !SMALL.test(`${title} `));
    assert.deepEqual(
      clipped.filter(({ file }) => file !== 'test/repository/lint.test.ts'),
      [],
    );
  });
});
