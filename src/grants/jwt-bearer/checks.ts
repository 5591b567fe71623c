import type { Check, Examination } from './examination.ts';
import { FORM } from './form-checks.ts';
import { ORIGIN } from './origin-checks.ts';
import { POLICY, SUBJECT } from './policy-checks.ts';
import { VALIDITY } from './validity-checks.ts';

/** Checks that come last, so that only an otherwise valid request uses up its assertion. */
const USE: readonly Check[] = [
  { reason: 'replayed', says: 'the assertion must not have been used before (jti)', holds: (it) => it.isFirst() },
];

/** All checks in order. The first check that fails gives the reason for the refusal. */
export const CHECKS: readonly Check[] = [...FORM, ...ORIGIN, ...VALIDITY, ...POLICY, ...SUBJECT, ...USE];

/** @returns the first check that fails */
export async function firstFailure(it: Examination): Promise<Check | undefined> {
  for (const check of CHECKS) if (!(await check.holds(it))) return check;
  return undefined;
}
