/**
 * One process of a run: takes one test file after the other from `run.ts`, so that no process waits while another one
 * has files left. The modules under test are loaded once.
 */
import { readFileSync } from 'node:fs';
import Mocha from 'mocha';
import { LaneReporter, refuseToHang } from './reporter.ts';
import type { FromLane, ToLane } from './totals.ts';

const settings = JSON.parse(readFileSync('.mocharc.json', 'utf8')) as Record<string, unknown>;

let failures = 0;

/** Runs one file with the settings of `.mocharc.json`, in a Mocha of its own. */
async function run(file: string): Promise<void> {
  const mocha = new Mocha({
    timeout: Number(settings['timeout']),
    slow: Number(settings['slow']),
    forbidOnly: settings['forbid-only'] === true,
    forbidPending: settings['forbid-pending'] === true,
    reporter: LaneReporter,
  });
  mocha.addFile(file);
  await mocha.loadFilesAsync();
  if (mocha.suite.total() === 0) throw new Error('there is no test in it');
  failures += await new Promise<number>((resolve) => mocha.run(resolve));
}

function tell(message: FromLane): void {
  process.send?.(message);
}

function take({ file }: ToLane): void {
  if (file === undefined) {
    process.channel?.unref();
    return refuseToHang({ hasFailed: failures > 0 });
  }
  run(file)
    .catch((error: unknown) => {
      // The file does not load, has no test, or breaks a rule such as `forbid-only`.
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      failures += 1;
      tell({ passed: 0, failed: 1, failures: [{ text: `${file} did not run:\n${text}`, file }] });
    })
    .finally(() => {
      process.stdout.write('', () => {
        tell({ isReady: true });
      });
    });
}

process.on('message', take);
// The run was stopped: ends with all that its tests have started.
process.once('disconnect', () => process.kill(-process.pid, 'SIGKILL'));
tell({ isReady: true });
