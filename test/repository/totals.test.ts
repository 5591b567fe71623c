import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** Runs Mocha with the project's settings on one file of this text. */
async function run(text: string): Promise<{ lastLine: string | undefined; code: number | null }> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-totals-'));
  const file = join(folder, 'some.test.ts');
  await writeFile(file, text);
  const { stdout, status } = spawnSync(resolve('node_modules/.bin/mocha'), [file], { encoding: 'utf8' });
  await rm(folder, { recursive: true });
  return { lastLine: stdout.trimEnd().split('\n').at(-1), code: status };
}

const PASS = "it('passes', () => {});";
const FAIL = "it('fails', () => { throw new Error('no'); });";

describe('The last line of a test run', () => {
  it('The last line of a test run counts the tests that passed and those that failed', async () => {
    assert.deepEqual(await run(`${PASS}${FAIL}`), { lastLine: '1 passed, 1 failed', code: 1 });
  });

  it('The last line of a test run counts a skipped test as failed', async () => {
    assert.deepEqual(await run(`${PASS}it.skip('later', () => {});`), { lastLine: '1 passed, 1 failed', code: 1 });
    assert.deepEqual(await run(`${PASS}it('is only planned');`), { lastLine: '1 passed, 1 failed', code: 1 });
  });

  it('A test run with an exclusive test fails and has no last line with counts', async () => {
    const { lastLine, code } = await run(`${PASS}it.only('alone', () => {});`);
    assert.deepEqual({ counts: lastLine?.includes('passed'), code }, { counts: false, code: 1 });
  });
});
