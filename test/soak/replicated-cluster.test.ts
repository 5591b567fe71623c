import assert from 'node:assert/strict';
import { startReplicatedCluster, type ReplicatedCluster } from '../support/replicated-cluster.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { AcknowledgedUse } from '../durability/acknowledged-use.ts';

/** For the failover of a busy machine, in milliseconds. */
const PATIENCE = 120_000;

describe('A Redis Cluster whose replicas must acknowledge writes', function () {
  this.timeout(4 * PATIENCE);
  let cluster: ReplicatedCluster;
  let server: TestServer;
  let use: AcknowledgedUse;

  before(async () => {
    cluster = await startReplicatedCluster();
    server = await startTestServer({
      store: cluster.url,
      change: (config) => ({ ...config, stores: { ...config.stores, durability: 'replicated' } }),
    });
    use = await AcknowledgedUse.begin(server.issuer);
  });
  after(async () => {
    for (const { primary, replica } of cluster.shards) {
      primary.process.kill('SIGCONT');
      replica.process.kill('SIGCONT');
    }
    await server.close();
    await cluster.stop();
  });

  async function acknowledges(): Promise<void> {
    const before = use.acknowledged;
    await until(async () => {
      await use.next();
      return use.acknowledged >= before + 10;
    }, PATIENCE);
  }

  async function refuses(): Promise<void> {
    const before = use.refused;
    await until(async () => {
      await use.next();
      return use.refused > before;
    }, PATIENCE);
  }

  it('The server acknowledges nothing that a Redis replica lacks, and continues once the replicas are back', async () => {
    await acknowledges();
    for (const { replica } of cluster.shards) replica.process.kill('SIGSTOP');
    await refuses();
    await until(async () => (await fetch(`${server.issuer}/readyz`)).status === 503, PATIENCE);
    for (const { replica } of cluster.shards) replica.process.kill('SIGCONT');
    await until(async () => (await fetch(`${server.issuer}/readyz`)).status === 200, PATIENCE);
    await acknowledges();
    await use.assertKept();
  });

  it('The server loses nothing when Redis replicas become primaries', async () => {
    await acknowledges();
    for (const shard of cluster.shards.slice(0, 2)) {
      shard.primary.process.kill('SIGSTOP');
      await refuses();
      await cluster.takeOver(shard);
      // The former primary finds itself replaced, and follows.
      shard.primary.process.kill('SIGCONT');
      await acknowledges();
    }
    await until(async () => (await fetch(`${server.issuer}/readyz`)).status === 200, PATIENCE);
    await use.assertKept();
    assert.ok(use.acknowledged >= 40);
  });
});
