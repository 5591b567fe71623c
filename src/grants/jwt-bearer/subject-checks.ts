import type { Check } from './check.ts';
import type { Examination } from './examination.ts';
import type { Nobody } from './subject.ts';

/** Checks of the account that the assertion identifies. */
export const SUBJECT: readonly Check[] = [
  {
    reason: 'email_unverified',
    says: 'it has an address (email) that the issuer has verified (email_verified: true)',
    holds: async (it) => !(await isNobody(it, 'address not proved')),
  },
  {
    reason: 'email_taken',
    says: 'no account has its address yet, or match_email is set',
    holds: async (it) => !(await isNobody(it, 'address taken')),
  },
  {
    reason: 'account_unverified',
    says: 'the operator made the account with its address or vouches for it (latchkey accounts verify)',
    holds: async (it) => !(await isNobody(it, 'account not vouched for')),
  },
  {
    reason: 'account_unknown',
    says: 'an account is linked to its subject, or has its address',
    holds: async (it) => !(await isNobody(it, 'unlinked')),
  },
  {
    reason: 'account_disabled',
    says: 'the account may be used',
    holds: async (it) => {
      const subject = await it.subject();
      return !('account' in subject) || subject.account.disabledAt === undefined;
    },
  },
];

async function isNobody(it: Examination, because: Nobody['because']): Promise<boolean> {
  const subject = await it.subject();
  return subject.is === 'nobody' && subject.because === because;
}
