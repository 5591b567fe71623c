import assert from 'node:assert/strict';
import fc from 'fast-check';
import { normaliseEmail } from '../../src/lib/email.ts';

describe('An email address', () => {
  it('The normal form of an email address has no upper case and no surrounding space', () => {
    assert.equal(normaliseEmail(' Ann.Smith+Tag@Mail.Example.COM\n'), 'ann.smith+tag@mail.example.com');
  });

  it('Both spellings of an internationalised domain have the same normal form', () => {
    for (const domain of ['münchen.example', 'MÜNCHEN.example', 'mu\u0308nchen.example', 'XN--mnchen-3ya.example'])
      assert.equal(normaliseEmail(`ann@${domain}`), 'ann@xn--mnchen-3ya.example');
    assert.equal(normaliseEmail('ann@例え。テスト'), 'ann@xn--r8jz45g.xn--zckzah');
  });

  it('The email parser refuses characters that Unicode folds into those of another address', () => {
    const wrong = ['\u212Aate@example.com', 'ate@\u212A.example', 'a\uFF4En@example.com', 'ann@ex\uFF41mple.com'];
    for (const text of [...wrong, 'ann\uFF20example.com', 'ann@e\u017Fample.com', 'ann@\u0130.example'])
      assert.equal(normaliseEmail(text), undefined, JSON.stringify(text));
  });

  it('The email parser refuses domains that only a URL parser would accept', () => {
    for (const domain of [
      '%65xämple.com',
      'ex\u00E4mple.com:25',
      'ä@b.com',
      'a/ä',
      '[::1]ä',
      'xn--ä',
      'ä..com',
      'ä com',
    ])
      assert.equal(normaliseEmail(`ann@${domain}`), undefined, domain);
  });

  it('The email parser refuses text that is no address', () => {
    const wrong = ['', '@', 'ann', 'ann@', '@example.com', 'a@b@c.com', 'ann smith@example.com', 'ann@exa mple.com'];
    for (const text of [...wrong, 'ann\u0000@example.com', 'ann@example.com\r\nBcc: bob@example.com', 'ann@-x.com']) {
      assert.equal(normaliseEmail(text), undefined, JSON.stringify(text));
    }
  });

  it('An email address with letters that look like Latin ones is refused or differs from the Latin address', () => {
    assert.equal(normaliseEmail('\u0430nn@example.com'), undefined);
    assert.equal(normaliseEmail('ann@ex\u0430mple.com'), 'ann@xn--exmple-4nf.com');
  });

  it('An email address has at most 254 characters, of which 64 come before the at sign', () => {
    const domain = `${'d'.repeat(60)}.`.repeat(3) + 'com';
    const local = 'a'.repeat(64);
    assert.equal(normaliseEmail(`${local}@${domain}`)?.length, 251);
    assert.equal(normaliseEmail(`${local}a@${domain}`), undefined);
    assert.equal(normaliseEmail(`${local}@abcd.${domain}`), undefined);
  });

  it('The email parser never throws, and leaves a normal form unchanged', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.emailAddress()), (text) => {
        const email = normaliseEmail(text);
        if (email !== undefined) assert.equal(normaliseEmail(email.toUpperCase()), email);
      }),
    );
  });
});
