/** A Mocha process's outcome, as it reports it to the run that started it. Several reports add up. */
export interface Totals {
  passed: number;
  failed: number;
  failures: Failure[];
}

export interface Failure {
  /** The full title and the message. */
  text: string;
  /** The test file, absolute; left out where no single file is at fault. */
  file?: string;
}
