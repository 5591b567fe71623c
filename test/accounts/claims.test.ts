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
  it('are only its subject when nothing more is granted', () => {
    assert.deepEqual(accountClaims(account, []), { sub: 'acc_1' });
    assert.deepEqual(accountClaims(account, ['openid', 'notes:read', 'constructor']), { sub: 'acc_1' });
  });

  it('never call an address verified that nobody has verified', () => {
    assert.deepEqual(accountClaims(account, ['email']), { sub: 'acc_1', email: 'ann@example.com' });
  });

  it('call an address verified that somebody vouched for', () => {
    assert.deepEqual(accountClaims(verified, ['email']), {
      sub: 'acc_1',
      email: 'ann@example.com',
      email_verified: true,
    });
  });

  it('are under each scope the ones that the scope is announced to give', () => {
    for (const [scope, names] of Object.entries(claimsOfScope)) {
      assert.deepEqual(Object.keys(accountClaims(verified, ['openid', scope])), [...new Set(['sub', ...names])]);
    }
  });
});
