import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readCommonPasswords, type PasswordProblem, passwordProblem } from '../../src/credentials/password-rules.ts';

const common = readCommonPasswords();
const context = { email: 'ann.smith@example.com', name: 'Ann Smith-Jones', service: 'Latchkey' };
const problem = (password: string, minLength = 15) => passwordProblem(password, { minLength, common, context });

function assertProblem(passwords: readonly string[], expected: PasswordProblem | undefined, minLength = 15): void {
  for (const password of passwords) assert.equal(problem(password, minLength), expected, JSON.stringify(password));
}

describe('Rules for new passwords', () => {
  it('The minimum password length counts characters, not bytes or code units', () => {
    assertProblem(
      ['correct horse b', 'ü'.normalize('NFD').repeat(3) + 'correct horse', '𝒳𝓎𝓏 horse battery'],
      undefined,
    );
    assertProblem(['', 'correct horse ', '🔑🐎🔋📎👻🎲🧲'], 'too-short');
  });

  it('A password may have 256 characters and no more', () => {
    const long = Array.from({ length: 64 }, (_, turn) => String(turn * 37 + 1000)).join('');
    assert.equal(long.length, 256);
    assertProblem([long], undefined);
    assertProblem([`${long}x`], 'too-long');
  });

  it('The password rules require no kinds of characters', () => {
    assertProblem(['onlylowercaseletters', '        a  b   c', '592837461029384', 'ПарольНаКириллице'], undefined);
  });

  it('The password rules refuse common passwords in any case', () => {
    assertProblem(['password', 'PassWord', 'iloveyou', 'qwertyuiop', 'trustno1', 'ｐａｓｓｗｏｒｄ'], 'common', 8);
    assertProblem(['123456789qwerty', '1qaz2wsx3edc4rfv'], 'common');
  });

  it('The password rules refuse repetitions of a short or common piece, and straight runs', () => {
    const repeated = [
      'aaaaaaaaaaaaaaa',
      'abcabcabcabcabcabc',
      'passwordpassword',
      'iloveyouiloveyouilove',
      '123456789012345',
    ];
    assertProblem([...repeated, 'abcdefghijklmnop', 'zyxwvutsrqponmlk', '0123456789:;<=>?'], 'common');
  });

  it('The password rules accept a password that only contains a common one', () => {
    assertProblem(['password of the heron', 'dragon-lake-monkey-9'], undefined);
  });

  it('The password rules refuse a password that consists of the email, the name or the service name', () => {
    assertProblem(
      ['ann.smith@example.com', 'ANN.SMITH@EXAMPLE', 'smith.example.com1', 'annsmithannsmith!'],
      'like-your-email',
    );
    assertProblem(['Ann Smith-Jones', 'jones-smith-ann-99'], 'like-your-name');
    assertProblem(['latchkeyLATCHKEY', 'latchkey', 'Latchkey1!'], 'like-this-service', 8);
    assertProblem(['smith keeps nine herons', 'latchkey 5 grey herons'], undefined);
  });

  it('The password rules give a result for any text and any context', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 });
    fc.assert(
      fc.property(text, text, text, text, (password, email, name, service) => {
        const answer = passwordProblem(password, { minLength: 15, common, context: { email, name, service } });
        const length = [...password.normalize('NFKC')].length;
        assert.equal(answer === 'too-short', length < 15);
        assert.equal(answer === 'too-long', length > 256);
      }),
    );
  });

  it('The list of common passwords matches only whole entries', () => {
    for (const part of ['password", "', '"', '', '123456","password', 'passwor\u0000']) {
      assert.equal(common.has(part), false, JSON.stringify(part));
    }
  });
});
