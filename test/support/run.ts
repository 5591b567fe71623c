/**
 * A whole test run: the machine's programs, for `npm test` the checks of the sources, then Mocha. A check that fails
 * does not hide what the tests say. The last line is `N passed, N failed`, the checks included.
 *
 *   node test/support/run.ts [soak|interop|guides|readme] [MOCHA OPTIONS]
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { relative } from 'node:path';
import { performance } from 'node:perf_hooks';
import { installPrograms } from './install.ts';
import { LIMIT, type Failure, type Totals } from './totals.ts';

interface Suite {
  /** The patterns of its files, and of those that are not its. */
  files: string;
  except: string[];
  checks: string[];
  /** In how many processes at once its files run. */
  processes: number;
}

const SOAK = 'test/soak/**/*.test.ts';
const INTEROP = 'test/interop/**/*.test.ts';
const GUIDES = 'test/guides/**/*.test.ts';
const README = 'test/readme/**/*.test.ts';

/**
 * `soak` is what needs minutes: load, and models with many seeds. `interop` is software by others, as it is installed.
 * `readme` follows the README in a fresh clone, with npm's registry. `guides` needs other languages and their registries, so
 * that no change of ours waits for those.
 */
const SUITES: Record<string, Suite> = {
  test: {
    files: 'test/**/*.test.ts',
    except: [SOAK, INTEROP, GUIDES, README],
    checks: ['format:check', 'lint', 'types', 'imports'],
    processes: 2,
  },
  soak: { files: SOAK, except: [], checks: [], processes: 1 },
  interop: { files: INTEROP, except: [], checks: [], processes: 1 },
  readme: { files: README, except: [], checks: [], processes: 1 },
  guides: { files: GUIDES, except: [], checks: [], processes: 1 },
};

/** In place of the exit code of a process that was killed. */
const KILLED = -1;
/** Milliseconds that a process may take to end once its time is over. */
const GRACE = 300_000;

/** More failed files than a busy machine explains. */
const MANY = 6;

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

/** Runs Mocha on one share of the files. What the first says is shown as it comes, of the others on `show`. */
function startMocha(args: readonly string[], { share }: { share: number }) {
  const output = share === 0 ? 'inherit' : 'pipe';
  const env = { ...process.env, TEST_SHARE: String(share) };
  const child = spawn('mocha', [...args], { stdio: ['ignore', output, output, 'ipc'], env });
  const held: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => held.push(chunk));
  const totals: Totals = { passed: 0, failed: 0, failures: [] };
  child.on('message', (message) => {
    const more = message as Totals;
    add(totals, more);
    for (const { text } of more.failures) console.log(`✘ ${text}`);
  });
  // A process that does not even come to its limit, such as in an endless loop.
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT + GRACE);
  const result = ended(child).then((code) => {
    clearTimeout(timer);
    // A process that ends with an error and reports no failure counts as one failure.
    const broke = `the tests' process ${share} ended with ${code}`;
    if (code === KILLED || (code !== 0 && totals.failed === 0))
      add(totals, { passed: 0, failed: 1, failures: [{ text: broke }] });
    return totals;
  });
  return { result, show: () => process.stdout.write(Buffer.concat(held)) };
}

function add(sum: Totals, { passed, failed, failures }: Totals): void {
  sum.passed += passed;
  sum.failed += failed;
  sum.failures.push(...failures);
}

/** Runs a suite's files, dealt out to its processes in turn; with options of Mocha's own, in one. */
async function runTests({ files, except, processes }: Suite, options: string[]): Promise<Totals> {
  const all = globSync(files, { exclude: except }).sort();
  const count = options.length > 0 ? 1 : processes;
  const shares = Array.from({ length: count }, (_, share) => all.filter((_file, index) => index % count === share));
  // Mocha without a file would run every test there is.
  const runs = shares.filter((own) => own.length > 0).map((own, share) => startMocha([...options, ...own], { share }));
  const sum: Totals = { passed: 0, failed: 0, failures: [] };
  for (const { result, show } of runs) {
    const totals = await result;
    show();
    add(sum, totals);
  }
  if (options.length === 0) await runAgain(sum);
  return sum;
}

/**
 * Runs failed files once more, each alone: a fault of the program fails again, a starved machine does not. A test that
 * passes only then is listed by name, for its wait or its set-up needs mending.
 */
async function runAgain(sum: Totals): Promise<void> {
  const files = new Set(sum.failures.map(({ file }) => file));
  if (files.has(undefined) || files.size > MANY) return;
  list('Failed beside the others', sum.failures);
  for (const file of files) {
    if (file === undefined) continue;
    console.log(`Running again, alone: ${relative('.', file)}`);
    const again = await startMocha([file], { share: 0 }).result;
    if (again.failed > 0) continue;
    const unsteady = sum.failures.filter((failure) => failure.file === file);
    sum.failures = sum.failures.filter((failure) => failure.file !== file);
    sum.failed -= unsteady.length;
    sum.passed += unsteady.length;
    list('Unsteady, passed alone', unsteady);
  }
}

function list(heading: string, failures: readonly Failure[]): void {
  if (failures.length > 0) console.log(`${heading}:\n${failures.map(({ text }) => `  ${text}\n`).join('')}`);
}

function ended(child: ReturnType<typeof spawn>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve(code ?? KILLED);
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
  const tests = await runTests(suite, options);
  const failed = results.length - passed + tests.failed;
  list('Failed', tests.failures);
  console.log(`${passed + tests.passed} passed, ${failed} failed`);
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
