import type { Accounts } from '../../accounts/accounts.ts';
import type { Config } from '../../config/schema.ts';
import type { Announce } from '../../events/events.ts';
import { IssuerKeys } from '../../issuers/issuer-keys.ts';
import { openIssuers, type Issuers } from '../../issuers/issuers.ts';
import type { GrantType } from '../../oidc/grant-type.ts';
import type { Clock } from '../../lib/clock.ts';
import type { KeySets } from '../../outgoing/key-sets.ts';
import type { Store } from '../../storage/store.ts';
import { examiner, usedAssertions, type Examiner } from './examiner.ts';
import { jwtBearerGrant } from './grant.ts';
import { openSubjects } from './subject.ts';

export interface JwtBearerOptions {
  /** Of the places that the operator named. */
  keySets: KeySets;
  clock: Clock;
  config: Pick<Config, 'issuer' | 'trusted_issuers'>;
  accounts: Accounts;
  records: Store;
  grants: Store;
  announce: Announce;
}

/** Puts the JWT bearer grant together: the registry, its keys, the checks and what passes them. */
export function jwtBearer(options: JwtBearerOptions): { grant: GrantType; issuers: Issuers; rehearse: Examiner } {
  const { config, records, clock } = options;
  const subjects = openSubjects(options);
  const { claimOnce, isFree } = usedAssertions(options.grants);
  const issuers = openIssuers({ records, configured: config.trusted_issuers });
  const parts = {
    here: config.issuer,
    issuers,
    keys: new IssuerKeys(options.keySets),
    subjects,
    clock,
  };
  return {
    grant: jwtBearerGrant({ ...options, subjects, examine: examiner({ ...parts, claimOnce }) }),
    issuers,
    /** For trying an assertion without using it up. */
    rehearse: examiner({ ...parts, claimOnce: isFree }),
  };
}
