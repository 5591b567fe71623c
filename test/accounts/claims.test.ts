import assert from 'node:assert/strict';
import type { Account } from '../../src/accounts/account.ts';
import { accountClaims, claimsOfScope } from '../../src/accounts/claims.ts';
import type { AccountId } from '../../src/lib/ids.ts';

const account: Account = {
  id: 'acc_1' as AccountId,
  email: 'ann@example.com',
  name: 'Ann',
  roles: ['user'],
  createdAt: 0,
  disabledAt: 1,
};

const verified: Account = { ...account, emailVerified: { by: 'operator', at: 0 } };

describe('The claims of an account', () => {
  it('The claims of an account contain only the subject if no other scope is granted', () => {
    assert.deepEqual(accountClaims(account, []), { sub: 'acc_1' });
    assert.deepEqual(accountClaims(account, ['openid', 'notes:read', 'constructor']), { sub: 'acc_1' });
  });

  it('The claims of an account omit email_verified if nobody has verified the address', () => {
    assert.deepEqual(accountClaims(account, ['email']), { sub: 'acc_1', email: 'ann@example.com' });
  });

  it('The claims of an account contain email_verified if somebody vouched for the address', () => {
    assert.deepEqual(accountClaims(verified, ['email']), {
      sub: 'acc_1',
      email: 'ann@example.com',
      email_verified: true,
    });
  });

  it('The claims of an account under each scope are those that the metadata names for it', () => {
    for (const [scope, names] of Object.entries(claimsOfScope)) {
      assert.deepEqual(Object.keys(accountClaims(verified, ['openid', scope])), [...new Set(['sub', ...names])]);
    }
  });
});
