import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { NEEDS } from '../support/install.ts';

/** What other tests run against is installed for every suite: `npm test` may be the first to run on a machine. */
describe('The programs that are installed for one suite', () => {
  const files = globSync('test/**/*.ts').filter((file) => file !== 'test/support/install.ts');

  for (const { name, suite, programs = [] } of NEEDS) {
    if (suite === undefined) continue;
    it(`Only the files of test/${suite} start ${name}`, () => {
      assert.ok(programs.length > 0, 'say as what the suite starts it');
      const starts = new RegExp(`\\b(?:spawn|execFile|run)(?:Sync)?\\(\\s*'(?:[^']*/)?(?:${programs.join('|')})'`);
      const elsewhere = files.filter((file) => !file.startsWith(`test/${suite}/`));
      assert.deepEqual(
        elsewhere.filter((file) => starts.test(readFileSync(file, 'utf8'))),
        [],
      );
    });
  }
});
