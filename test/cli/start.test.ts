import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, renameSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { certificateFor } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/until.ts';
import { WorkingDirectory, type Process } from './latchkey.ts';

const FILE = 'issuer: http://localhost:3000\nlisten: { port: 0 }\nlog: { format: json }\n';
const TLS_FILE = FILE.replace('http:', 'https:').replace('port: 0', 'port: 0, tls: { cert: cert.pem, key: key.pem }');
const READY = /"port":(\d+).*"ready"/;
const WORKER = /worker (\d+) is ready/;

/** A request that the server has begun, as its `100 Continue` says, and that never ends. */
async function unfinishedRequest(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  const headers = ['Host: localhost:3000', 'Content-Type: application/x-www-form-urlencoded', 'Content-Length: 9'];
  socket.write(['POST /token HTTP/1.1', ...headers, 'Expect: 100-continue', '', 'a'].join('\r\n'));
  await once(socket, 'data');
  return socket;
}

function readiness(port: number): Promise<number> {
  return fetch(`http://127.0.0.1:${port}/readyz`).then(
    (response) => response.body?.cancel().then(() => response.status) ?? response.status,
    () => 0,
  );
}

/** The common name of the certificate that a new connection is shown. */
async function shownName(port: number): Promise<string | undefined> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect');
    return String(socket.getPeerCertificate().subject.CN);
  } finally {
    socket.destroy();
  }
}

function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/healthz`, { headers: { connection: 'close' } }).then(
    (response) => response.body?.cancel().then(() => true) ?? true,
    () => false,
  );
}

describe('The command latchkey start', function () {
  // Several processes start and stop in each test.
  this.timeout(60_000);
  let directory: WorkingDirectory;
  let running: Process | undefined;

  beforeEach(() => {
    directory = new WorkingDirectory();
  });
  afterEach(async () => {
    running?.kill('SIGKILL');
    await running?.ended;
    running = undefined;
    directory.remove();
  });

  function renew(name: string): void {
    const { cert, key } = certificateFor({ name: [['CN', name]], dns: 'localhost' });
    directory.write('cert.pem', cert);
    directory.write('key.pem', key);
  }

  async function started(
    config: string,
    environment: NodeJS.ProcessEnv = {},
  ): Promise<{ server: Process; port: number }> {
    directory.write('latchkey.yaml', config);
    running = directory.start(['start'], environment);
    const [port] = await running.printed(READY);
    return { server: running, port: Number(port) };
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`The server runs until ${signal} and then exits with 0`, async () => {
      const { server, port } = await started(FILE);
      assert.equal(await answers(port), true);
      server.kill(signal);
      const { code, err } = await server.ended;
      assert.deepEqual(
        [code, err],
        [0, 'latchkey: shutting down: finishing open requests; press Ctrl-C again to stop immediately\n'],
      );
    });
  }

  it('"latchkey start" creates no master key beside a store that is sealed under another one', async () => {
    const { server } = await started(FILE);
    server.kill('SIGTERM');
    await server.ended;
    const masterKey = join(directory.path, 'keys/master.key');
    renameSync(masterKey, `${masterKey}.moved`);
    const { code, err } = await directory.start(['start']).ended;
    assert.equal(code, 1);
    assert.match(err, /^latchkey: There is no master key at .*master\.key\. Put yours back/);
    assert.ok(!existsSync(masterKey));
  });

  it('The server finishes open requests unless a second signal stops it', async () => {
    const { server, port } = await started(FILE);
    const socket = await unfinishedRequest(port);
    server.kill('SIGTERM');
    await until(async () => !(await answers(port)));
    assert.equal(socket.closed, false);
    const stopping = setInterval(() => server.kill('SIGTERM'), 20);
    const { code } = await server.ended;
    clearInterval(stopping);
    assert.equal(code, 1);
    socket.destroy();
  });

  for (const workers of [1, 2]) {
    const settings = `${FILE}workers: ${workers}\n`;

    it(`The server answers for drain.delay after SIGTERM with ${workers} of its processes, and then exits with 0`, async () => {
      const { server, port } = await started(settings, { LATCHKEY_DRAIN_DELAY: '5s' });
      if (workers > 1) await server.printed(WORKER, workers);
      assert.equal(await readiness(port), 200);
      const start = performance.now();
      server.kill('SIGTERM');
      await until(async () => (await readiness(port)) === 503);
      assert.equal(await answers(port), true);
      assert.equal((await server.ended).code, 0);
      assert.ok(performance.now() - start > 4900);
      assert.equal(await answers(port), false);
    });

    it(`A second signal during drain.delay stops the server at once with ${workers} of its processes`, async () => {
      const { server, port } = await started(settings, { LATCHKEY_DRAIN_DELAY: '5m' });
      if (workers > 1) await server.printed(WORKER, workers);
      assert.equal(await readiness(port), 200);
      server.kill('SIGTERM');
      await until(async () => (await readiness(port)) === 503);
      const stopping = setInterval(() => server.kill('SIGTERM'), 20);
      const { code } = await server.ended;
      clearInterval(stopping);
      assert.equal(code, 1);
      await until(async () => !(await answers(port)));
    });

    it(`The server shows a renewed certificate after SIGHUP with ${workers} of its processes`, async () => {
      renew('first');
      const { server, port } = await started(`${TLS_FILE}workers: ${workers}\n`);
      const pids = workers > 1 ? await server.printed(WORKER, workers) : [];
      assert.equal(await shownName(port), 'first');
      renew('second');
      server.kill('SIGHUP');
      for (const pid of pids) process.kill(Number(pid), 'SIGHUP');
      for (let times = 0; times < 4; times += 1) await until(async () => (await shownName(port)) === 'second');
      server.kill('SIGTERM');
      assert.equal((await server.ended).code, 0);
    });
  }

  it('The signal SIGHUP ends neither the server nor another command', async () => {
    const { server, port } = await started(FILE);
    assert.equal(await answers(port), true);
    const pipe = join(directory.path, 'password');
    execFileSync('mkfifo', [pipe]);
    const adding = directory.start(['accounts', 'add', 'ann@example.com', '--password-file', pipe]);
    // Opens once the command waits for the password.
    const password = await open(pipe, 'w');
    for (const one of [server, adding]) one.kill('SIGHUP');
    await new Promise((resolve) => setTimeout(resolve, 500));
    await password.writeFile('correct horse battery staple');
    await password.close();
    assert.equal((await adding.ended).code, 0);
    assert.equal(await answers(port), true);
  });

  it('A worker that receives SIGTERM ends and is replaced', async () => {
    const { server, port } = await started(`${FILE}workers: 2\n`);
    const [first] = await server.printed(WORKER, 2);
    process.kill(Number(first), 'SIGTERM');
    await server.printed(new RegExp(`worker ${first} ended \\(code 0\\)`));
    await server.printed(WORKER, 3);
    assert.equal(await answers(port), true);
  });

  it('The error names the port that is in use in one line, and the exit code is 1', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    directory.write('latchkey.yaml', FILE);
    for (const workers of ['1', '2']) {
      const environment = { LATCHKEY_PORT: String(port), LATCHKEY_ISSUER: `http://localhost:${port}` };
      const { code, err } = await directory.run([], { ...environment, LATCHKEY_WORKERS: workers });
      assert.equal(
        err,
        `latchkey: port ${port} is in use: stop the program that uses it, or set another listen.port (LATCHKEY_PORT)\n`,
      );
      assert.equal(code, 1);
    }
    other.close();
  });

  it('An error shows its stack only at log level debug', async () => {
    directory.write('latchkey.yaml', FILE);
    directory.write('file', '');
    const failing = { LATCHKEY_STORE: 'sqlite:file/inside.db' };
    const { code, err } = await directory.run([], failing);
    assert.equal(code, 1);
    assert.match(err, /^latchkey: [^\n]+\n$/);
    const debugged = await directory.run([], { ...failing, LATCHKEY_LOG_LEVEL: 'debug' });
    assert.match(debugged.err, /\n +at /);
  });

  it('The server replaces a killed worker and drains all workers at the end', async () => {
    const { server, port } = await started(`${FILE}workers: 2\n`);
    const [first, second] = await server.printed(WORKER, 2);
    assert.notEqual(first, second);
    process.kill(Number(first), 'SIGKILL');
    const third = (await server.printed(WORKER, 3)).at(2);
    assert.match(
      (await server.printed(/worker \d+ ended .*/))[0] ?? '',
      new RegExp(`^worker ${first} ended \\(SIGKILL\\)`),
    );
    process.kill(Number(second), 'SIGKILL');
    await server.printed(WORKER, 4);
    assert.equal(await answers(port), true);
    server.kill('SIGTERM');
    assert.equal((await server.ended).code, 0);
    assert.throws(() => process.kill(Number(third), 0), { code: 'ESRCH' });
    assert.equal(await answers(port), false);
  });

  it('A start without a file runs the demo and prints what to open and how to sign in', async () => {
    const port = await freePort(4);
    running = directory.start([], { LATCHKEY_PORT: String(port) });
    await running.printed(/Ctrl-C/);
    for (const text of [/alice@example\.com/, /admin@example\.com/, /password latchkey-demo/])
      await running.printed(text);
    await running.printed(new RegExp(`Open +http://localhost:${port + 1} `));
    await running.printed(new RegExp(`http://localhost:${port + 2} `));
    for (const offset of [0, 1, 2]) assert.equal((await fetch(`http://localhost:${port + offset}/`)).status, 200);
    assert.equal((await fetch(`http://localhost:${port + 3}/me`)).status, 401);
    running.kill('SIGINT');
    assert.equal((await running.ended).code, 0);
  });

  it('A start without a file refuses the demo in production', async () => {
    const { code, err } = await directory.run([], { NODE_ENV: 'production' });
    assert.equal(code, 1);
    assert.match(
      err,
      /^latchkey: demo mode has a problem:\n\n {2}NODE_ENV: is production; .*create a latchkey\.yaml\n$/,
    );
  });
});
