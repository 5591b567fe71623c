import assert from 'node:assert/strict';
import fc from 'fast-check';
import { nameProblem, normaliseName } from '../../src/accounts/account.ts';

describe('The name of a person', () => {
  it('A person’s name can be in any script', () => {
    for (const name of ['Ann', "Siobhán O'Brien-Łuk", '李小龍', 'نوشین', 'X Æ A-12', '👩‍🚀']) {
      assert.equal(nameProblem(name), undefined, name);
    }
    for (const mark of ['\u200E', '\u200F', '\u061C']) assert.equal(nameProblem(`נועה${mark} (Noa)`), undefined);
    assert.equal(normaliseName('  Jose\u0301 '), 'José');
  });

  it('A person’s name must contain a visible character', () => {
    for (const name of ['', '   ', '\u200F', '\u200B', '\u3000\u00A0'])
      assert.equal(nameProblem(name), 'empty', JSON.stringify(name));
  });

  it('A person’s name cannot contain line breaks, NUL or characters that reverse the text', () => {
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

  it('A person’s name has at most 100 characters, and each code point counts once', () => {
    assert.equal(nameProblem('𝔄'.repeat(100)), undefined);
    assert.equal(nameProblem('𝔄'.repeat(101)), 'too-long');
  });

  it('The check of a person’s name never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const length = [...normaliseName(text)].length;
        if (nameProblem(text) === undefined) assert.ok(length >= 1 && length <= 100);
      }),
    );
  });
});
