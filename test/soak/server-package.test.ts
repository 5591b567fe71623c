import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';

const run = promisify(execFile);

describe('The packed server', function () {
  this.timeout(300_000);
  let folder: string;
  let tarball: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'latchkey-installed-'));
    await writeFile(join(folder, 'package.json'), '{}');
    const { stdout } = await run('npm', ['run', '--silent', 'pack:server', '--', folder]);
    tarball = stdout.trim();
    await run('npm', ['install', '--silent', '--ignore-scripts', tarball], { cwd: folder });
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('The server’s package has less than a megabyte, and latchkey prints its version', async () => {
    assert.ok((await stat(tarball)).size < 1_000_000);
    const { stdout } = await run('npx', ['latchkey', '--version'], { cwd: folder });
    assert.match(stdout, /0\.1\.0/);
  });

  it('The server’s package starts the demo with Node from its dependency, and signs a person in', async () => {
    const port = await freePort(5);
    const environment = { ...process.env, LATCHKEY_PORT: String(port), NODE_ENV: 'development' };
    const child = spawn('npx', ['latchkey', 'start'], { cwd: folder, env: environment, detached: true });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
    const ended = once(child, 'exit');
    try {
      for (let look = 0; !output.includes('Ctrl-C'); look += 1) {
        assert.ok(child.exitCode === null && look < 1200, `the demo did not start:\n${output}`);
        await sleep(50);
      }
      const issuer = `http://localhost:${port}`;
      const request = authorizationRequest(issuer, 'demo-notes');
      const { status } = await exchangeCode(issuer, request, await signIn(new Browser(), request));
      assert.equal(status, 200);
      const app = await fetch(`http://localhost:${port + 1}/`);
      assert.match(await app.text(), /<title>/);
    } finally {
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
      await ended;
    }
  });

  it('The server’s package checks a configuration', async () => {
    await writeFile(join(folder, 'latchkey.yaml'), 'issuer: https://login.example.com\n');
    const { stdout } = await run('npx', ['latchkey', 'check-config'], { cwd: folder });
    assert.match(stdout, /login\.example\.com|valid|can be used/);
  });
});
