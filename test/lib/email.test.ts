import assert from 'node:assert/strict';
import fc from 'fast-check';
import { normaliseEmail } from '../../src/lib/email.ts';

describe('An email address', () => {
  it('has one form, whatever its case and its surrounding space', () => {
    assert.equal(normaliseEmail(' Ann.Smith+Tag@Mail.Example.COM\n'), 'ann.smith+tag@mail.example.com');
  });

  it('is one address in both spellings of an internationalised domain', () => {
    for (const domain of ['münchen.example', 'MÜNCHEN.example', 'mu\u0308nchen.example', 'XN--mnchen-3ya.example'])
      assert.equal(normaliseEmail(`ann@${domain}`), 'ann@xn--mnchen-3ya.example');
    assert.equal(normaliseEmail('ann@例え。テスト'), 'ann@xn--r8jz45g.xn--zckzah');
  });

  it('is refused where a character of it would only fold into another address', () => {
    const wrong = ['\u212Aate@example.com', 'ate@\u212A.example', 'a\uFF4En@example.com', 'ann@ex\uFF41mple.com'];
    for (const text of [...wrong, 'ann\uFF20example.com', 'ann@e\u017Fample.com', 'ann@\u0130.example'])
      assert.equal(normaliseEmail(text), undefined, JSON.stringify(text));
  });

  it('is refused where only a URL would read the domain', () => {
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

  it('is refused when it is none', () => {
    const wrong = ['', '@', 'ann', 'ann@', '@example.com', 'a@b@c.com', 'ann smith@example.com', 'ann@exa mple.com'];
    for (const text of [...wrong, 'ann\u0000@example.com', 'ann@example.com\r\nBcc: bob@example.com', 'ann@-x.com']) {
      assert.equal(normaliseEmail(text), undefined, JSON.stringify(text));
    }
  });

  it('is refused, or another one, when it looks like one in letters of another script', () => {
    assert.equal(normaliseEmail('\u0430nn@example.com'), undefined);
    assert.equal(normaliseEmail('ann@ex\u0430mple.com'), 'ann@xn--exmple-4nf.com');
  });

  it('has at most 254 characters, 64 of them before the at sign', () => {
    const domain = `${'d'.repeat(60)}.`.repeat(3) + 'com';
    const local = 'a'.repeat(64);
    assert.equal(normaliseEmail(`${local}@${domain}`)?.length, 251);
    assert.equal(normaliseEmail(`${local}a@${domain}`), undefined);
    assert.equal(normaliseEmail(`${local}@abcd.${domain}`), undefined);
  });

  it('is read from any text without throwing, and its form is final', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.emailAddress()), (text) => {
        const email = normaliseEmail(text);
        if (email !== undefined) assert.equal(normaliseEmail(email.toUpperCase()), email);
      }),
    );
  });
});
