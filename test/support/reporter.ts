import { spawnSync } from 'node:child_process';
import Mocha from 'mocha';
import type { Totals } from './totals.ts';

/** How long after the last test a process may take to end by itself, in milliseconds. */
const GRACE = 10_000;

/**
 * Mocha's own `spec` output, ended by the line `N passed, N failed`; the run that started Mocha gets the numbers instead,
 * since it knows of more. A test that is skipped counts as failed (`forbid-pending`).
 */
export class TotalsReporter extends Mocha.reporters.Spec {
  override epilogue(): void {
    super.epilogue();
    const { passes: passed, failures: failed } = this.stats;
    const failures = this.failures.map((test) => {
      const text = `${test.fullTitle()}\n    ${String(test.err?.message)}`;
      return test.file === undefined ? { text } : { text, file: test.file };
    });
    if (process.send === undefined) console.log(`${passed} passed, ${failed} failed`);
    else process.send({ passed, failed, failures } satisfies Totals);
    refuseToHang({ hasFailed: failed > 0 });
  }
}

/**
 * Counts what a test left open as a fault of that test, which `mocha --exit` would hide. A set-up that failed may leave
 * things open, and is reported already.
 */
function refuseToHang({ hasFailed }: { hasFailed: boolean }): void {
  setTimeout(() => {
    const { stdout: children } = spawnSync('ps', ['-o', 'pid,args', '--ppid', String(process.pid)], {
      encoding: 'utf8',
    });
    const left = `The tests left open: ${process.getActiveResourcesInfo().join(', ')}\n${children}`;
    console.error(left);
    if (!hasFailed) process.send?.({ passed: 0, failed: 1, failures: [{ text: left }] } satisfies Totals);
    process.exit(1);
  }, GRACE).unref();
}

// Mocha loads a reporter with `require` and takes its default export.
export default TotalsReporter;
