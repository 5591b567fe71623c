import type { Examination } from './examination.ts';

/** A condition that an assertion must meet. */
export interface Check {
  /** Reason of the refusal, for the log and for `latchkey issuers test`. The client sees `invalid_grant`. */
  reason: string;
  /** The condition in words, for the operator. */
  says: string;
  holds: (it: Examination) => boolean | Promise<boolean>;
}

/** Tells whether a value is a text that can be compared, stored and shown on one line. */
export function isText(value: unknown, longest = 255): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= longest && !/[\p{Cc}\p{Cs}]/u.test(value);
}
