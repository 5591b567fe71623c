import { rmSync } from 'node:fs';
import { freePort } from './free-port.ts';
import { PASSWORD, postgresFolder, runProgram, startPostgres, type PostgresOfTests } from './postgres.ts';
import { until } from './until.ts';

/** For a change of servers on a busy machine, in milliseconds. */
const PATIENCE = 60_000;

/** A primary and a streaming replica, of which either may be the one. */
export interface PostgresClusterOfTests {
  /** Names both servers. */
  url: string;
  primary: PostgresOfTests;
  replica: PostgresOfTests;
  /** Makes the replica the primary, and waits until it takes writes. */
  promote(): Promise<void>;
  /** Makes the former primary, which was killed, a replica of the new one; the two change places. */
  rejoin(): Promise<void>;
  stop(): Promise<void>;
}

/** @param isSynchronous whether the primary acknowledges nothing that the replica lacks */
export async function startPostgresCluster(isSynchronous: boolean): Promise<PostgresClusterOfTests> {
  const settings = { wal_keep_size: '256MB' };
  const primary = await startPostgres({ settings });
  const url = await primary.newDatabase();
  const replica = await startReplica(primary, settings);
  // The replica has it, too, once it is the primary.
  const waitForReplica = async (server: PostgresOfTests) => {
    await server.sql(`ALTER SYSTEM SET synchronous_standby_names = '${isSynchronous ? '*' : ''}'`);
    await server.sql('SELECT pg_reload_conf()');
  };
  await waitForReplica(replica);
  await waitForReplica(primary);
  const cluster: PostgresClusterOfTests = {
    url: url.replace(`:${primary.port}/`, `:${primary.port},127.0.0.1:${replica.port}/`),
    primary,
    replica,
    promote: async () => {
      await cluster.replica.sql('SELECT pg_promote(false)');
      await until(async () => {
        const [row] = await cluster.replica.sql('SELECT pg_is_in_recovery() AS waits');
        return row?.['waits'] === false;
      }, PATIENCE);
    },
    rejoin: async () => {
      const { primary: former, replica: next } = cluster;
      rmSync(former.folder, { recursive: true, force: true });
      const again = await startReplica(next, settings, former.port);
      Object.assign(cluster, { primary: next, replica: again });
    },
    stop: async () => {
      await Promise.all([cluster.primary.stop(), cluster.replica.stop()]);
    },
  };
  return cluster;
}

async function startReplica(
  primary: PostgresOfTests,
  settings: Record<string, string>,
  port?: number,
): Promise<PostgresOfTests> {
  const folder = postgresFolder();
  const source = `host=127.0.0.1 port=${primary.port} user=postgres password=${PASSWORD}`;
  runProgram('pg_basebackup', '-D', folder, '-d', source, '--write-recovery-conf', '--checkpoint', 'fast', '--no-sync');
  return startPostgres({ folder, port: port ?? (await freePort()), settings });
}
