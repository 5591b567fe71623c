/** A Mocha process's outcome, as it reports it to the run that started it. Several reports add up. */
export interface Totals {
  passed: number;
  failed: number;
  /** Each failure's full title and message. */
  failures: string[];
}
