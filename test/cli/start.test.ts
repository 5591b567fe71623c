import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { freePort } from '../support/free-port.ts';
import { WorkingDirectory, type Process } from './latchkey.ts';

const FILE = 'issuer: http://localhost:3000\nlisten: { port: 0 }\nlog: { format: json }\n';
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

function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/healthz`, { headers: { connection: 'close' } }).then(
    (response) => response.body?.cancel().then(() => true) ?? true,
    () => false,
  );
}

/** Waits for something that other processes bring about. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50));
}

describe('latchkey start', function () {
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

  async function started(config: string): Promise<{ server: Process; port: number }> {
    directory.write('latchkey.yaml', config);
    running = directory.start(['start']);
    const [port] = await running.printed(READY);
    return { server: running, port: Number(port) };
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`serves until ${signal} and then ends with 0`, async () => {
      const { server, port } = await started(FILE);
      assert.equal(await answers(port), true);
      server.kill(signal);
      const { code, err } = await server.ended;
      assert.deepEqual([code, err], [0, 'latchkey: stopping: what has begun may end; once more to stop at once\n']);
    });
  }

  it('waits for what has begun, until a second signal stops it hard', async () => {
    const { server, port } = await started(FILE);
    const socket = await unfinishedRequest(port);
    server.kill('SIGTERM');
    await eventually(async () => !(await answers(port)));
    assert.equal(socket.closed, false);
    const stopping = setInterval(() => server.kill('SIGTERM'), 200);
    const { code } = await server.ended;
    clearInterval(stopping);
    assert.equal(code, 1);
    socket.destroy();
  });

  it('names the port that is in use, in one line, and ends with 1', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    directory.write('latchkey.yaml', FILE);
    for (const workers of ['1', '2']) {
      const { code, err } = await directory.run([], { LATCHKEY_PORT: String(port), LATCHKEY_WORKERS: workers });
      assert.equal(err, `latchkey: port ${port} is in use: stop what uses it, or set LATCHKEY_PORT\n`);
      assert.equal(code, 1);
    }
    other.close();
  });

  it('shows a stack only to who asks for it', async () => {
    directory.write('latchkey.yaml', FILE);
    directory.write('file', '');
    const failing = { LATCHKEY_STORE: 'sqlite:file/inside.db' };
    const { code, err } = await directory.run([], failing);
    assert.equal(code, 1);
    assert.match(err, /^latchkey: [^\n]+\n$/);
    const debugged = await directory.run([], { ...failing, LATCHKEY_LOG_LEVEL: 'debug' });
    assert.match(debugged.err, /\n +at /);
  });

  it('replaces a worker that died, and drains all of them', async () => {
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

  it('without a file starts the demo and prints what to open and how to sign in', async () => {
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

  it('refuses the demo in production', async () => {
    const { code, err } = await directory.run([], { NODE_ENV: 'production' });
    assert.equal(code, 1);
    assert.match(
      err,
      /^latchkey: demo mode has a problem:\n\n {2}NODE_ENV: is production; .*write a latchkey\.yaml\n$/,
    );
  });
});
