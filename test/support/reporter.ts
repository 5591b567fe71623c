import { spawnSync } from 'node:child_process';
import Mocha from 'mocha';
import { LIMIT, type Failure, type Totals } from './totals.ts';

/** How long after the last test a process may take to end by itself, in milliseconds. */
const GRACE = 10_000;

/**
 * Mocha's own `spec` output, ended by the line `N passed, N failed`; the run that started Mocha gets each outcome as it
 * happens instead, so that it can tell the reason at once and knows of them whatever comes after. A test that is skipped
 * counts as failed (`forbid-pending`).
 */
export class LaneReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    runner.on('pass', () => report({ passed: 1, failed: 0, failures: [] }));
    runner.on('fail', (test, error: unknown) => report({ passed: 0, failed: 1, failures: [failureOf(test, error)] }));
  }

  override epilogue(): void {
    // Of one file among many, only the reasons of its failures are news.
    if (this.failures.length > 0 || process.send === undefined) super.epilogue();
  }
}

/** The reporter of a Mocha that ends after its files. */
export class TotalsReporter extends LaneReporter {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const timer = setTimeout(() => stop(runner), LIMIT);
    runner.once('end', () => clearTimeout(timer));
  }

  override epilogue(): void {
    super.epilogue();
    const { passes: passed, failures: failed } = this.stats;
    if (process.send === undefined) console.log(`${passed} passed, ${failed} failed`);
    refuseToHang({ hasFailed: failed > 0 });
  }
}

function report(totals: Totals): void {
  process.send?.(totals);
}

function failureOf(test: Mocha.Runnable, error: unknown): Failure {
  const text = `${test.fullTitle()}\n    ${error instanceof Error ? error.message : String(error)}`;
  return test.file === undefined ? { text } : { text, file: test.file };
}

/** Lets the test that runs now end, and what was set up be closed. The others count as one failure. */
function stop(runner: Mocha.Runner): void {
  const { passes = 0, failures = 0 } = runner.stats ?? {};
  const text = `The run has taken ${LIMIT / 60_000} minutes, and ends with ${runner.total - passes - failures} tests not run`;
  console.error(text);
  report({ passed: 0, failed: 1, failures: [{ text }] });
  process.exitCode = 1;
  runner.abort();
}

/**
 * Counts what a test left open as a fault of that test, which `mocha --exit` would hide. A set-up that failed may leave
 * things open, and is reported already.
 */
export function refuseToHang({ hasFailed }: { hasFailed: boolean }): void {
  setTimeout(() => {
    const { stdout: children } = spawnSync('ps', ['-o', 'pid,args', '--ppid', String(process.pid)], {
      encoding: 'utf8',
    });
    const left = `The tests left open: ${process.getActiveResourcesInfo().join(', ')}\n${children}`;
    console.error(left);
    if (!hasFailed) report({ passed: 0, failed: 1, failures: [{ text: left }] });
    process.exit(1);
  }, GRACE).unref();
}

// Mocha loads a reporter with `require` and takes its default export.
export default TotalsReporter;
