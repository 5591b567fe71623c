import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { openExistingStores } from '../../src/storage/open-stores.ts';
import { besides, command } from '../support/command.ts';
import { startRedis, type RedisOfTests } from '../support/redis.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** Command lines of every command that opens a store. In this order each of them finds what it needs. */
const LINES = [
  'accounts list',
  'accounts show alice@example.com',
  'accounts add bob@example.com --password-file -',
  'accounts verify bob@example.com',
  'accounts add-role bob@example.com admin',
  'accounts remove-role bob@example.com admin',
  'accounts password bob@example.com --password-file -',
  'accounts sign-out bob@example.com',
  'accounts disable bob@example.com',
  'accounts enable bob@example.com',
  'accounts remove bob@example.com --yes',
  'clients list',
  'clients add CLIENT',
  'clients roll-secret job',
  'clients roll-secret job --now',
  'clients disable job',
  'clients enable job',
  'clients remove job',
  'clients invite',
  'issuers list',
  'keys list',
  'keys rotate',
  'keys export-public',
  'revoke --account alice@example.com --yes',
  'revoke --client demo-notes --yes',
  'revoke --everything --yes',
];

const CLIENT = `client_id: job
client_name: Nightly job
type: machine
secret: { env: JOB_SECRET }
`;

describe('The connections of a command', function () {
  this.timeout(120_000);
  let redis: RedisOfTests;
  let server: TestServer;
  let watcher: Redis;
  /** Connections that one opening of the stores makes. */
  let once: number;

  before(async () => {
    redis = await startRedis({ appendonly: true });
    server = await startTestServer({ store: redis.url });
    await writeFile(join(server.directory, 'client.yaml'), CLIENT);
    watcher = new Redis(redis.url);
    once = await connections(async () => (await openExistingStores(server.config.stores)).close());
    assert.ok(once > 0);
  });
  after(async () => {
    watcher.disconnect();
    await server.close();
    await redis.stop();
  });

  async function connections(work: () => Promise<unknown>): Promise<number> {
    const made = async () => Number(/total_connections_received:(\d+)/.exec(await watcher.info('stats'))?.[1]);
    const before = await made();
    await work();
    return (await made()) - before;
  }

  for (const line of LINES)
    it(`A command opens its store once: ${line}`, async () => {
      const words = line.replace('CLIENT', join(server.directory, 'client.yaml')).split(' ');
      const environment = {
        ...besides({ directory: server.directory, issuer: server.issuer, store: redis.url }),
        JOB_SECRET: 'first-secret-k3F9s0QzP1x7Yt5Vb2Lm8Nc4Rd6Wg0HjAeUiOoSaTzE',
      };
      const made = await connections(async () => {
        const { code, out, err } = await command(words, { environment, input: 'quite a long phrase of bob' });
        assert.equal(code, 0, out + err);
      });
      assert.equal(made, once);
    });
});
