import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/until.ts';

describe('npm run dev', () => {
  let folder: string;
  let child: ChildProcess;
  let page: string;

  // A copy, since the test changes files of it.
  before(async function () {
    this.timeout(120_000);
    folder = mkdtempSync(join(tmpdir(), 'latchkey-dev-'));
    for (const name of ['src', 'views', 'package.json']) cpSync(name, join(folder, name), { recursive: true });
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    const port = await freePort(4);
    page = `http://localhost:${port}/`;
    const env = { ...process.env, LATCHKEY_PORT: String(port), LATCHKEY_LOG_LEVEL: 'warn' };
    // A group of its own, so that the watched process ends with npm and the watcher.
    child = spawn('npm', ['run', 'dev'], { cwd: folder, env, stdio: 'ignore', detached: true });
    await until(() => shows('You are not signed in'), 90_000);
  });

  after(async () => {
    const ended = once(child, 'exit');
    if (child.exitCode === null) {
      process.kill(-(child.pid ?? assert.fail('npm did not start')), 'SIGKILL');
      await ended;
    }
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  async function shows(text: string): Promise<boolean> {
    return fetch(page).then(
      async (response) => (await response.text()).includes(text),
      () => false,
    );
  }

  it('npm run dev serves a page from its changed template', async () => {
    appendFileSync(join(folder, 'views/home.eta'), '<p>A changed template.</p>\n');
    await until(() => shows('A changed template.'));
  });

  it('npm run dev runs a source file again after a change', async () => {
    const file = join(folder, 'src/host/middleware.ts');
    const text = readFileSync(file, 'utf8');
    assert.ok(text.includes("'X-Request-Id'"));
    writeFileSync(file, text.replace("'X-Request-Id'", "'X-Changed-Id'"));
    await until(async () => (await fetch(page).catch(() => undefined))?.headers.has('x-changed-id') === true);
  });
});
