import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { certificateFor } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { WorkingDirectory, type Process } from './latchkey.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

describe('The command latchkey health', function () {
  // Several processes start in each test.
  this.timeout(60_000);
  let directory: WorkingDirectory;
  let server: Process | undefined;
  beforeEach(() => {
    directory = new WorkingDirectory();
  });
  afterEach(async () => {
    server?.kill('SIGKILL');
    await server?.ended;
    server = undefined;
    directory.remove();
  });

  async function start(settings: string, environment: NodeJS.ProcessEnv = {}): Promise<void> {
    directory.write('latchkey.yaml', `log: { format: json }\n${settings}`);
    server = directory.start(['start'], environment);
    await server.printed(/"ready"/);
  }

  it('"latchkey health" finds the server at the configured port on all addresses, and reports when it has ended', async () => {
    const port = await freePort();
    await start(`issuer: http://localhost:3000\nlisten: { host: 0.0.0.0, port: ${port} }\n`);
    for (const options of [[], ['--ready']]) {
      const { code, err } = await directory.run(['health', ...options]);
      assert.deepEqual([code, err], [0, '']);
    }
    server?.kill('SIGKILL');
    await server?.ended;
    const { code, err } = await directory.run(['health']);
    assert.equal(code, 1);
    assert.match(err, new RegExp(`^latchkey: http://127.0.0.1:${port}/healthz does not answer: .*ECONNREFUSED`));
  });

  it('"latchkey health" finds the server behind its TLS certificate at the port of the environment', async () => {
    const { cert, key } = certificateFor({ name: [['CN', 'login.example']], dns: 'login.example' });
    directory.write('cert.pem', cert);
    directory.write('key.pem', key);
    const environment = { LATCHKEY_PORT: String(await freePort()) };
    await start('issuer: https://login.example\nlisten: { tls: { cert: cert.pem, key: key.pem } }\n', environment);
    const { code, err } = await directory.run(['health'], environment);
    assert.deepEqual([code, err], [0, '']);
  });

  it('"latchkey health" reports that a draining server is alive but not ready', async () => {
    const port = await freePort();
    await start(`issuer: http://localhost:3000\nlisten: { port: ${port} }\n`, { LATCHKEY_DRAIN_DELAY: '5m' });
    assert.equal((await directory.run(['health', '--ready'])).code, 0);
    server?.kill('SIGTERM');
    await server?.printed(/shutting down/);
    assert.equal((await directory.run(['health'])).code, 0);
    const { code, err } = await directory.run(['health', '--ready']);
    assert.equal(code, 1);
    assert.match(err, /\/readyz answered 503 \{"status":"draining"\}/);
  });

  it('"latchkey health" cannot know the port of a server that may choose any', async () => {
    directory.write('latchkey.yaml', 'issuer: http://localhost:3000\nlisten: { port: 0 }\n');
    const { code, err } = await directory.run(['health']);
    assert.equal(code, 1);
    assert.match(err, /listen\.port is 0/);
  });

  it('The program runs through a symbolic link called latchkey, as in the container', async () => {
    symlinkSync(MAIN, join(directory.path, 'latchkey'));
    const path = `${directory.path}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;
    const { stdout } = await promisify(execFile)('latchkey', ['version'], { env: { PATH: path } });
    assert.match(stdout, /^latchkey \d/);
  });
});
