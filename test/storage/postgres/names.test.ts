import assert from 'node:assert/strict';
import { rowNames, storedName } from '../../../src/storage/postgres/names.ts';

describe('Abbreviated names in PostgreSQL', () => {
  it('An abbreviated name in PostgreSQL never equals another full name, even if the cut is within an escaped character', () => {
    for (const cut of ['\0', '\u0001']) {
      const beginning = `account:${'a'.repeat(791)}`;
      const long = `${beginning}${cut}${'b'.repeat(500)}`;
      const digest = /[\da-f]{64}$/.exec(storedName(long))?.[0] ?? '';
      assert.equal(digest.length, 64);
      const short = `${beginning}\0\u0003${digest}`;
      assert.notEqual(storedName(long), storedName(short));
      assert.equal(rowNames(long).whole === null, false);
    }
  });
});
