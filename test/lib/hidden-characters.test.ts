import assert from 'node:assert/strict';
import { hasHiddenCharacters, showHiddenCharacters } from '../../src/lib/hidden-characters.ts';

describe('Hidden characters', () => {
  it('The server shows hidden characters by their code points, and leaves all other characters', () => {
    const text = 'ACME \u202Egnp.\u{E0041}\u3164\n é 株式会社 😀';
    assert.equal(showHiddenCharacters(text), 'ACME [U+202E]gnp.[U+E0041][U+3164][U+000A] é 株式会社 😀');
    assert.equal(hasHiddenCharacters(showHiddenCharacters(text)), false);
  });

  it('The server finds a hidden character at every search', () => {
    for (let times = 0; times < 3; times += 1) assert.equal(hasHiddenCharacters('a\u200Bb'), true);
  });
});
