import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { PASSWORD, unprivileged } from './postgres.ts';
import { until } from './until.ts';

/** Connections to the server: fewer than a process of ours has to the pooler, so that they are shared all the time. */
const SHARED = 8;
/** For a pooler that starts on a busy machine, in milliseconds. */
const PATIENCE = 60_000;

/** PgBouncer in transaction mode before the server of a store URL. @returns the URL through it, with `direct` for notices */
export async function startPgBouncer(url: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const { port, username, host } = new URL(url);
  const at = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-pgbouncer-'));
  const { uid, gid } = unprivileged();
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid);
  writeFileSync(join(folder, 'users'), `"${username}" "${PASSWORD}"\n`, { mode: 0o644 });
  writeFileSync(
    join(folder, 'pgbouncer.ini'),
    [
      '[databases]',
      `* = host=127.0.0.1 port=${port}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${at}`,
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${join(folder, 'users')}`,
      'pool_mode = transaction',
      `default_pool_size = ${SHARED}`,
      'max_client_conn = 200',
    ].join('\n'),
    { mode: 0o644 },
  );
  const program = spawn('/usr/sbin/pgbouncer', [join(folder, 'pgbouncer.ini')], {
    ...unprivileged(),
    stdio: 'ignore',
    cwd: folder,
  });
  await once(program, 'spawn');
  await until(() => isListening(at), PATIENCE);
  return {
    url: `${url.replace(`:${port}/`, `:${at}/`)}?direct=${host}`,
    stop: async () => {
      if (program.exitCode === null && program.signalCode === null) {
        const ended = once(program, 'exit');
        program.kill('SIGKILL');
        await ended;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return once(socket, 'connect').then(
    () => true,
    () => false,
  ).finally(() => socket.destroy()); // prettier-ignore
}
