import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { openToAll, register } from '../registration/registering.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

const AT_ONCE = 64;
const SERVICE = basic('demo-service', 'demo-service-secret');

describe('A flood of status streams', function () {
  this.timeout(120_000);
  let server: TestServer;
  let held: IncomingMessage[];
  beforeEach(async () => {
    held = [];
    server = await startTestServer({
      change: (config) =>
        openToAll()({ ...config, listen: { ...config.listen, trusted_proxies: ['127.0.0.1', '::1'] } }),
    });
  });
  afterEach(async () => {
    for (const response of held) response.destroy();
    await server.close();
  });

  /** Sends the request and hangs up. */
  function leaveAtOnce(address: string): Promise<void> {
    return new Promise((resolve) => {
      const headers = { 'x-forwarded-for': address };
      const sent = httpRequest(`${server.issuer}/status/events`, { agent: false, headers });
      sent.once('finish', () => setTimeout(() => sent.destroy(), 10));
      sent.once('close', resolve).on('error', () => undefined);
      sent.end();
    });
  }

  /** Keeps the stream where there is one. */
  function open(address: string, authorization?: string): Promise<IncomingMessage> {
    const headers = { 'x-forwarded-for': address, ...(authorization && { authorization }) };
    return new Promise((resolve, reject) => {
      const sent = httpRequest(`${server.issuer}/status/events`, { agent: false, headers }, (response) => {
        response.on('error', () => undefined).resume();
        if (response.statusCode === 200) held.push(response);
        resolve(response);
      });
      sent.once('error', reject);
      sent.end();
    });
  }

  /** @returns how many of so many callers were given a stream */
  async function openMany(count: number, address: (turn: number) => string, authorization?: string): Promise<number> {
    const before = held.length;
    for (let turn = 0; turn < count; turn += AT_ONCE) {
      const batch = Array.from({ length: Math.min(AT_ONCE, count - turn) }, (_, index) => turn + index);
      await Promise.all(batch.map((index) => open(address(index), authorization)));
    }
    return held.length - before;
  }

  it('A flood of status streams from eight address blocks leaves streams for other addresses', async () => {
    assert.equal(await openMany(8 * 64, (turn) => `198.51.100.${turn % 8}`), 8 * 32);
    assert.equal((await open('203.0.113.9')).statusCode, 200);
  });

  it('A flood from very many address blocks leaves half of the status streams to authenticated clients', async () => {
    assert.equal(await openMany(1100, (turn) => `198.51.${turn % 2}.${turn % 250}`), 1000);
    const refused = await open('203.0.113.9');
    assert.equal(refused.statusCode, 503);
    assert.ok(refused.headers['retry-after']);
    assert.equal(await openMany(40, () => '203.0.113.9', SERVICE), 40);
    assert.equal(await openMany(40, () => '198.51.100.1', SERVICE), 40);
  });

  it('An IPv6 site gets only as many status streams as four networks', async () => {
    assert.equal(await openMany(300, (turn) => `2001:db8:1:${(turn % 250).toString(16)}::1`), 64);
    assert.equal(await openMany(300, (turn) => `2001:db8:2:${((turn % 250) * 256).toString(16)}::1`), 128);
  });

  it('A client that uses up its status streams leaves streams for other clients', async () => {
    assert.equal(await openMany(300, () => '203.0.113.9', SERVICE), 256);
    assert.equal((await open('203.0.113.9', basic('demo-web', 'demo-web-secret'))).statusCode, 200);
  });

  it('A client that registered itself gets no stream that is reserved for authenticated clients', async () => {
    const { body } = await register(server, { token_endpoint_auth_method: 'client_secret_basic' });
    const own = basic(String(body['client_id']), String(body['client_secret']));
    assert.equal(await openMany(64, () => '198.51.100.1', own), 32);
  });

  it('The server frees a status stream when its caller disconnects', async () => {
    await openMany(32, () => '198.51.100.1');
    assert.equal((await open('198.51.100.1')).statusCode, 503);
    held[0]?.destroy();
    await until(async () => (await open('198.51.100.1')).statusCode === 200);
  });

  it('The server frees a status stream when its caller disconnects before the response begins', async () => {
    for (let turn = 0; turn < 4; turn += 1)
      await Promise.all(Array.from({ length: 32 }, () => leaveAtOnce('198.51.100.1')));
    await until(async () => (await open('198.51.100.1')).statusCode === 200);
    assert.equal(await openMany(31, () => '198.51.100.1'), 31);
  });

  it('The stream endpoint refuses and slows down guesses of a client secret', async () => {
    const answers: IncomingMessage[] = [];
    for (let turn = 0; turn < 14; turn += 1) {
      answers.push(await open('198.51.100.1', basic('demo-service', `guess-${turn}`)));
    }
    const statuses = answers.map(({ statusCode }) => statusCode);
    assert.equal(statuses[0], 401);
    assert.match(String(answers[0]?.headers['www-authenticate']), /^Basic /);
    assert.equal(statuses.at(-1), 429);
    assert.ok(answers.at(-1)?.headers['retry-after']);
    assert.equal((await open('198.51.100.1', basic('demo-service', 'guess-1'))).statusCode, 429);
    assert.equal((await open('203.0.113.9', SERVICE)).statusCode, 200);
    for (const wrong of [basic('nobody', 'secret'), 'Basic %%%', 'Basic OmE=', basic('demo-notes', ''), 'Basic JTo6']) {
      assert.equal((await open('203.0.113.7', wrong)).statusCode, 401, wrong);
    }
  });
});

function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
}
