import assert from 'node:assert/strict';
import fc from 'fast-check';
import { normaliseEmail } from '../../src/accounts/email.ts';

describe('An email address', () => {
  it('has one form, whatever its case, its surrounding space and its Unicode form', () => {
    assert.equal(normaliseEmail(' Ann.Smith+Tag@Mail.Example.COM\n'), 'ann.smith+tag@mail.example.com');
    assert.equal(normaliseEmail('\u212Aim@example.com'), 'kim@example.com');
  });

  it('is refused when it is none', () => {
    const wrong = ['', '@', 'ann', 'ann@', '@example.com', 'a@b@c.com', 'ann smith@example.com', 'ann@exa mple.com'];
    for (const text of [...wrong, 'ann\u0000@example.com', 'ann@example.com\r\nBcc: bob@example.com', 'ann@-x.com']) {
      assert.equal(normaliseEmail(text), undefined, JSON.stringify(text));
    }
  });

  it('is refused when it looks like another in letters of another script', () => {
    assert.equal(normaliseEmail('\u0430nn@example.com'), undefined);
    assert.equal(normaliseEmail('ann@ex\u0430mple.com'), undefined);
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
