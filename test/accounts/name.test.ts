import assert from 'node:assert/strict';
import fc from 'fast-check';
import { nameProblem, normaliseName } from '../../src/accounts/account.ts';

describe('A name', () => {
  it('is kept as people write it, in any script', () => {
    for (const name of ['Ann', "Siobhán O'Brien-Łuk", '李小龍', 'نوشین', 'X Æ A-12', '👩‍🚀']) {
      assert.equal(nameProblem(name), undefined, name);
    }
    for (const mark of ['\u200E', '\u200F', '\u061C']) assert.equal(nameProblem(`נועה${mark} (Noa)`), undefined);
    assert.equal(normaliseName('  Jose\u0301 '), 'José');
  });

  it('has something to see in it', () => {
    for (const name of ['', '   ', '\u200F', '\u200B', '\u3000\u00A0'])
      assert.equal(nameProblem(name), 'empty', JSON.stringify(name));
  });

  it('cannot break a line, end a string or turn the text around', () => {
    for (const name of [
      'Ann\nadmin',
      'Ann\u0000',
      '\u202Enna',
      'A\u2028nn',
      'Ann\u2066x',
      'Ann\u202Ax',
      'Ann\u2069x',
      'Ann\uD800',
    ]) {
      assert.equal(nameProblem(name), 'forbidden-character', JSON.stringify(name));
    }
  });

  it('has at most 100 characters, each counted once', () => {
    assert.equal(nameProblem('𝔄'.repeat(100)), undefined);
    assert.equal(nameProblem('𝔄'.repeat(101)), 'too-long');
  });

  it('is judged without throwing, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const length = [...normaliseName(text)].length;
        if (nameProblem(text) === undefined) assert.ok(length >= 1 && length <= 100);
      }),
    );
  });
});
