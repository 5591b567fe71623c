/**
 * A whole test run: the machine's programs, then Mocha and, for `npm test`, the checks of the sources beside it. Tests
 * wait more than they compute, so the checks cost little time there. The last line is `N passed, N failed`, the checks
 * included.
 *
 *   node test/support/run.ts [soak|interop|guides|readme] [MOCHA OPTIONS]
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { globSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { installPrograms } from './install.ts';
import { LIMIT, type Failure, type FromLane, type ToLane, type Totals } from './totals.ts';

interface Suite {
  /** The patterns of its files, and of those that are not its. */
  files: string;
  except: string[];
  checks: string[];
  /** In how many processes at once its files run. */
  lanes: number;
  /** In minutes, for one file. */
  limit: number;
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
    checks: ['imports', 'types', 'format:check', 'lint'],
    lanes: 3,
    limit: 10,
  },
  soak: { files: SOAK, except: [], checks: [], lanes: 1, limit: 30 },
  interop: { files: INTEROP, except: [], checks: [], lanes: 1, limit: 30 },
  readme: { files: README, except: [], checks: [], lanes: 1, limit: 30 },
  guides: { files: GUIDES, except: [], checks: [], lanes: 1, limit: 60 },
};

const LANE = join(import.meta.dirname, 'lane.ts');
/** For a lane to end once the run is over, in minutes. */
const GRACE = 1;
/** The limit of a run with options, which may ask for a long search, in minutes. */
const DAY = 24 * 60;

/**
 * All processes of a run, also those that tests start, share the compiled modules. Most of a short process's CPU time goes
 * into compiling otherwise.
 */
process.env['NODE_COMPILE_CACHE'] ??= resolve('node_modules/.cache/compiled');

/** More failed files than a busy machine explains. */
const MANY = 6;
/** After so many failures a run begins no further file: tests that each wait for their limit would fill an hour. */
const MOST_FAILURES = 30;

/** The failures of all lanes of a run. */
interface RunState {
  failed: number;
}

function isOver({ failed }: RunState): boolean {
  return performance.now() >= LIMIT || failed >= MOST_FAILURES;
}

/** Runs npm scripts one after the other, their output held back. A failure is shown at once. */
async function runChecks(scripts: readonly string[]): Promise<Totals> {
  const totals: Totals = { passed: 0, failed: 0, failures: [] };
  for (const script of scripts) {
    const start = performance.now();
    const child = spawn('npm', ['run', '--silent', script], { stdio: ['ignore', 'pipe', 'pipe'] });
    const show = hold(child);
    const passed = (await ended(child)) === 0;
    console.log(`  ${passed ? '✔' : '✘'} npm run ${script} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
    if (!passed) show();
    const failures = passed ? [] : [{ text: `npm run ${script}` }];
    add(totals, { passed: Number(passed), failed: failures.length, failures });
  }
  return totals;
}

/** Holds back what a process writes. @returns writes what is held by then */
function hold(child: ChildProcess): () => void {
  let held: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => held.push(chunk));
  return () => {
    process.stdout.write(Buffer.concat(held));
    held = [];
  };
}

/** Runs a Mocha of its own, with its output as it comes. @param limit in minutes */
async function runMocha(args: readonly string[], limit?: number): Promise<Totals> {
  const child = spawn('mocha', args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const totals: Totals = { passed: 0, failed: 0, failures: [] };
  child.on('message', (message) => note(totals, message as Totals));
  const timer = setTimeout(() => child.kill('SIGKILL'), (limit ?? DAY) * 60_000);
  const code = await ended(child);
  clearTimeout(timer);
  // A process that ends with an error and reports no failure counts as one failure.
  if (code !== 0 && totals.failed === 0) add(totals, failure(`the process of the tests ended with ${code}`));
  return totals;
}

/** Has one process run files of the queue until it is empty, and another one after a process that died in a file. */
async function runLane(queue: string[], options: LaneOptions): Promise<Totals> {
  const totals: Totals = { passed: 0, failed: 0, failures: [] };
  do await runProcess(queue, totals, options);
  while (queue.length > 0 && !isOver(options.state));
  return totals;
}

interface LaneOptions {
  lane: number;
  /** In minutes, for one file. */
  limit: number;
  state: RunState;
}

async function runProcess(queue: string[], totals: Totals, { lane, limit, state }: LaneOptions) {
  const child = fork(LANE, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, TEST_LANE: String(lane) },
    // A group of its own, so that what its tests have started ends with it.
    detached: true,
  });
  const show = hold(child);
  const failedBefore = totals.failed;
  const now: { file: string | undefined; isLate: boolean; isLast: boolean } = {
    file: undefined,
    isLate: false,
    isLast: false,
  };
  let timer: NodeJS.Timeout | undefined;
  const stopAfter = (minutes: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      now.isLate = true;
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, minutes * 60_000);
  };
  stopAfter(limit);
  child.on('message', (message: FromLane) => {
    if (!('isReady' in message)) {
      state.failed += message.failed;
      note(totals, message);
      if (message.failed === 0 || now.isLast || !isOver(state)) return;
      now.isLast = true;
      return stopAfter(GRACE);
    }
    show();
    now.file = isOver(state) ? undefined : queue.shift();
    stopAfter(now.file === undefined ? GRACE : limit);
    child.send({ file: now.file } satisfies ToLane);
  });
  const code = await ended(child);
  clearTimeout(timer);
  show();
  const { file, isLate } = now;
  const how = isLate ? 'did not end in time' : `ended with ${code}`;
  if (file !== undefined) add(totals, failure(`the process of ${relative('.', file)} ${how}`, file));
  else if (code !== 0 && totals.failed === failedBefore) add(totals, failure(`lane ${lane} ${how}`));
}

function failure(text: string, file?: string): Totals {
  return { passed: 0, failed: 1, failures: [{ text, ...(file !== undefined && { file }) }] };
}

/** Adds an outcome, and shows the reasons of its failures at once. */
function note(sum: Totals, outcome: Totals): void {
  add(sum, outcome);
  for (const { text } of outcome.failures) console.log(`✘ ${text}`);
}

function add(sum: Totals, { passed, failed, failures }: Totals): void {
  sum.passed += passed;
  sum.failed += failed;
  sum.failures.push(...failures);
}

/** Runs a suite's files, in its lanes; with options of Mocha's own, in one Mocha. */
async function runTests({ files, except, lanes, limit }: Suite, options: string[]): Promise<Totals> {
  const queue = globSync(files, { exclude: except })
    .sort()
    .map((file) => resolve(file));
  if (options.length > 0) return runMocha([...options, ...queue]);
  const sum: Totals = { passed: 0, failed: 0, failures: [] };
  const state: RunState = { failed: 0 };
  const runs = Array.from({ length: lanes }, (_, lane) => runLane(queue, { lane, limit, state }));
  for (const totals of await Promise.all(runs)) add(sum, totals);
  const why = state.failed < MOST_FAILURES ? `has taken ${LIMIT / 60_000} minutes` : `has ${state.failed} failures`;
  const left = `The run ${why}, and ends with ${queue.length} files not run`;
  if (queue.length > 0) add(sum, failure(left));
  if (!isOver(state)) await runAgain(sum, limit);
  return sum;
}

/**
 * Runs failed files once more, each alone: a fault of the program fails again, a starved machine does not. A test that
 * passes only then is listed by name, for its wait or its set-up needs mending.
 */
async function runAgain(sum: Totals, limit: number): Promise<void> {
  const files = new Set(sum.failures.map(({ file }) => file));
  if (files.has(undefined) || files.size > MANY) return;
  list('Failed beside the others', sum.failures);
  for (const file of files) {
    if (file === undefined) continue;
    console.log(`Running again, alone: ${relative('.', file)}`);
    const again = await runMocha([file], limit);
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

function ended(child: ChildProcess): Promise<number> {
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
  const sum: Totals = { passed: 0, failed: 0, failures: [] };
  for (const totals of await Promise.all([runChecks(suite.checks), runTests(suite, options)])) add(sum, totals);
  list('Failed', sum.failures);
  console.log(`${sum.passed} passed, ${sum.failed} failed`);
  return sum.failed > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
