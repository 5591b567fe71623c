import type { Check } from './check.ts';
import type { Examination } from './examination.ts';
import { FORM } from './form-checks.ts';
import { ORIGIN } from './origin-checks.ts';
import { POLICY } from './policy-checks.ts';
import { SUBJECT } from './subject-checks.ts';
import { VALIDITY } from './validity-checks.ts';

/** Last, so that an assertion is used up only by a request that nothing else is wrong with. */
const USE: readonly Check[] = [
  { reason: 'replayed', says: 'it was not used before (jti)', holds: (it) => it.isFirst() },
];

/** All checks, in the order in which they are made; the first that does not hold is the reason of the refusal. */
export const CHECKS: readonly Check[] = [...FORM, ...ORIGIN, ...VALIDITY, ...POLICY, ...SUBJECT, ...USE];

/** @returns the check that does not hold */
export async function firstFailure(it: Examination): Promise<Check | undefined> {
  for (const check of CHECKS) if (!(await check.holds(it))) return check;
  return undefined;
}
