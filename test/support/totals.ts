/** How long the tests of a run may take in all, in milliseconds: many that each wait for their limit take hours. */
export const LIMIT = Number(process.env['TEST_LIMIT_MINUTES'] ?? 40) * 60_000;

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

/** A message of a lane: an outcome, or that it can take a file. */
export type FromLane = Totals | { isReady: true };

/** A message to a lane. */
export interface ToLane {
  /** The next file, absolute; undefined after the last. */
  file: string | undefined;
}
