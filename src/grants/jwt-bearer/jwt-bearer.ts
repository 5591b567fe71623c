import type { Accounts } from '../../accounts/accounts.ts';
import type { Announce } from '../../events/events.ts';
import { IssuerKeys } from '../../issuers/issuer-keys.ts';
import type { Issuers } from '../../issuers/issuers.ts';
import type { GrantType } from '../../oidc/grant-type.ts';
import type { Clock } from '../../lib/clock.ts';
import type { KeySets } from '../../outgoing/key-sets.ts';
import type { Store } from '../../storage/store.ts';
import { examiner, usedAssertions, type Examiner } from './examination.ts';
import { jwtBearerGrant } from './grant.ts';
import { openSubjects } from './subject.ts';

interface JwtBearerOptions {
  issuer: string;
  issuers: Issuers;
  accounts: Accounts;
  grants: Store;
  /** Key sets at URLs that the operator configured. */
  keySets: KeySets;
  clock: Clock;
  announce: Announce;
}

/** Opens the JWT bearer grant (RFC 7523 §2.1): its checks, and its handling of a valid assertion. */
export function jwtBearer(options: JwtBearerOptions): { grant: GrantType; rehearse: Examiner } {
  const { issuer, issuers, accounts, grants, keySets, clock, announce } = options;
  const subjects = openSubjects({ accounts });
  const { claimOnce, isFree } = usedAssertions(grants);
  const keys = new IssuerKeys(keySets);
  const examine = examiner({ here: issuer, issuers, keys, subjects, clock, claimOnce });
  return {
    grant: jwtBearerGrant({ announce, subjects, examine }),
    /** Checks an assertion without using it up. */
    rehearse: examiner({ here: issuer, issuers, keys, subjects, clock, claimOnce: isFree }),
  };
}
