/**
 * A whole test run: the machine's programs, for `npm test` the checks of the sources, then Mocha. A check that fails
 * does not hide what the tests say. The last line is `N passed, N failed`, the checks included.
 *
 *   node test/support/run.ts [soak|interop] [MOCHA OPTIONS]
 */
import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { installPrograms } from './install.ts';

interface Suite {
  files: string[];
  checks: string[];
}

const SOAK = 'test/soak/**/*.test.ts';
const INTEROP = 'test/interop/**/*.test.ts';

/** `soak` is what needs minutes: load, and models with many seeds. `interop` is software by others, as it is installed. */
const SUITES: Record<string, Suite> = {
  test: {
    files: ['test/**/*.test.ts', '--ignore', SOAK, '--ignore', INTEROP],
    checks: ['format:check', 'lint', 'types', 'imports'],
  },
  soak: { files: [SOAK], checks: [] },
  interop: { files: [INTEROP], checks: [] },
};

/** Runs one npm script, its output held back. @returns whether it passed */
async function check(script: string): Promise<boolean> {
  const start = performance.now();
  const child = spawn('npm', ['run', '--silent', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  const passed = (await ended(child)) === 0;
  console.log(`  ${passed ? '✔' : '✘'} ${script} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  if (!passed) console.log(Buffer.concat(output).toString());
  return passed;
}

/** Runs Mocha, which prints the totals; where it broke before it could, they are printed here. @returns its exit code */
async function runTests(args: string[], passed: number, failed: number): Promise<number> {
  const totals = ['--reporter-option', `passed=${passed},failed=${failed}`];
  const child = spawn('mocha', [...totals, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const reports: unknown[] = [];
  child.on('message', (report) => reports.push(report));
  const code = await ended(child);
  if (reports.length === 0) console.log(`${passed} passed, ${failed + 1} failed`);
  return code;
}

function ended(child: ReturnType<typeof spawn>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve(code ?? 1);
    });
  });
}

async function main([name = '', ...options]: string[]): Promise<number> {
  const suite = SUITES[name];
  if (suite === undefined) return main(['test', name, ...options].filter((word) => word !== ''));
  if (!installPrograms(name)) {
    console.log('0 passed, 1 failed');
    return 1;
  }
  if (suite.checks.length > 0) console.log(`Checking: ${suite.checks.join(', ')}`);
  const results = await Promise.all(suite.checks.map(check));
  const passed = results.filter(Boolean).length;
  const failed = results.length - passed;
  const code = await runTests([...suite.files, ...options], passed, failed);
  return failed > 0 ? 1 : code;
}

process.exitCode = await main(process.argv.slice(2));
