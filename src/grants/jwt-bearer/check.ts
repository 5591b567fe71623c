import type { Examination } from './examination.ts';

/** One thing that must hold of an assertion. */
export interface Check {
  /** Names the refusal, in the log and for `latchkey issuers test`; outside all are `invalid_grant`. */
  reason: string;
  /** The condition in words, for the operator. */
  says: string;
  holds: (it: Examination) => boolean | Promise<boolean>;
}

/** A text that can be compared, kept and shown in one line. */
export function isText(value: unknown, longest = 255): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= longest && !/[\p{Cc}\p{Cs}]/u.test(value);
}
