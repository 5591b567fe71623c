import Mocha from 'mocha';

/** How long after the last test a process may take to end by itself, in milliseconds. */
const GRACE = 10_000;

interface Options {
  reporterOptions?: { passed?: string; failed?: string };
}

/**
 * Mocha's own `spec` output, ended by the line `N passed, N failed`. The reporter options `passed` and `failed` hold
 * the checks that were made before. A test that is skipped counts as failed (`forbid-pending`).
 */
export class TotalsReporter extends Mocha.reporters.Spec {
  readonly #before: { passed: number; failed: number };

  constructor(runner: Mocha.Runner, options: Options = {}) {
    super(runner, options);
    const { passed = '0', failed = '0' } = options.reporterOptions ?? {};
    this.#before = { passed: Number(passed), failed: Number(failed) };
  }

  override epilogue(): void {
    super.epilogue();
    console.log(
      `${this.#before.passed + this.stats.passes} passed, ${this.#before.failed + this.stats.failures} failed`,
    );
    // Tells the run that starts Mocha that the totals have been printed.
    process.send?.('totals');
    refuseToHang();
  }
}

/** What a test left open is a fault of that test; `mocha --exit` would hide it. */
function refuseToHang(): void {
  setTimeout(() => {
    console.error(`The tests left open: ${process.getActiveResourcesInfo().join(', ')}`);
    process.exit(1);
  }, GRACE).unref();
}

// Mocha loads a reporter with `require` and takes its default export.
export default TotalsReporter;
