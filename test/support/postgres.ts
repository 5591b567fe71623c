import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

/** The least version that the server of the tests may have. */
export const OLDEST_POSTGRES = 14;
const HOST = '127.0.0.1';
const SUPERUSER = 'postgres';
export const PASSWORD = 'secret-of-tests';
/** For a server that starts on a busy machine, in milliseconds. */
const PATIENCE = 60_000;

export interface PostgresSettings {
  /** A fixed port, in order to start again where another one was. */
  port?: number;
  /** A data directory that exists, in place of a new one. */
  folder?: string;
  /** Settings in the form of postgresql.conf. */
  settings?: Record<string, string | number>;
}

export interface PostgresOfTests {
  port: number;
  folder: string;
  process: ChildProcess;
  /** Runs statements as the superuser. */
  sql(text: string, database?: string): Promise<Record<string, unknown>[]>;
  /** Makes a database that a role of its own owns. @returns its store URL */
  newDatabase(options?: string): Promise<string>;
  /** Stops all its processes at once, as a machine that loses power would, and leaves the data. */
  kill(): Promise<void>;
  /** Lets all its processes stand still, as a hanging machine would. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

/** The folder of PostgreSQL's programs; Debian keeps them out of the path. */
export function postgresPrograms(): string | undefined {
  const folders = globSync('/usr/lib/postgresql/*/bin').sort((a, b) => versionIn(b) - versionIn(a));
  const { stdout, error } = spawnSync('pg_config', ['--bindir'], { encoding: 'utf8' });
  return [...folders, ...(error === undefined ? [stdout.trim()] : [])].find(
    (folder) => folder !== '' && existsSync(join(folder, 'initdb')),
  );
}

function versionIn(folder: string): number {
  return Number(/\d+/.exec(folder)?.[0] ?? 0);
}

/** A program of PostgreSQL refuses to run as root. */
export function unprivileged(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const idOf = (option: string, user: string) => {
    const { status, stdout } = spawnSync('id', [option, user], { encoding: 'utf8' });
    return status === 0 ? Number(stdout) : undefined;
  };
  const user = idOf('-u', 'postgres') === undefined ? 'nobody' : 'postgres';
  return { uid: idOf('-u', user) ?? 65_534, gid: idOf('-g', user) ?? 65_534 };
}

/** A new folder that the server's user may write. */
export function postgresFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-postgres-'));
  const { uid, gid } = unprivileged();
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid);
  return folder;
}

export function runProgram(name: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(join(postgresPrograms() ?? '', name), args, {
    ...unprivileged(),
    encoding: 'utf8',
    cwd: tmpdir(),
    env: { ...process.env, PGPASSWORD: PASSWORD, LC_ALL: 'C.UTF-8' },
  });
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
}

/** A server of its own, on the given data directory or a new one. */
export async function startPostgres({
  port: at,
  folder: given,
  settings = {},
}: PostgresSettings = {}): Promise<PostgresOfTests> {
  const port = at ?? (await freePort());
  const folder = given ?? newCluster();
  const options = { ...DEFAULTS, ...settings, port };
  const server = spawn(
    join(postgresPrograms() ?? '', 'postgres'),
    ['-D', folder, ...Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    { ...unprivileged(), stdio: 'ignore', cwd: tmpdir() },
  );
  server.unref();
  const end = async (signal: NodeJS.Signals) => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    if (signal === 'SIGQUIT') signalChildren(server, 'SIGCONT');
    const ended = once(server, 'exit');
    server.ref();
    server.kill('SIGCONT');
    server.kill(signal);
    await ended;
  };
  const sql = async (text: string, database = 'postgres') => {
    const client = new Client({ host: HOST, port, user: SUPERUSER, password: PASSWORD, database });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  };
  const running = {
    port,
    folder,
    process: server,
    sql,
    newDatabase: (options = '') => newDatabase({ port, sql }, options),
    kill: async () => {
      const children = signalChildren(server, 'SIGSTOP');
      await end('SIGKILL');
      for (const child of children) kill(child, 'SIGKILL');
    },
    pause: () => {
      server.kill('SIGSTOP');
      signalChildren(server, 'SIGSTOP');
    },
    resume: () => {
      signalChildren(server, 'SIGCONT');
      server.kill('SIGCONT');
    },
    stop: async () => {
      await end('SIGQUIT');
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await until(async () => {
      if (server.exitCode !== null) throw new Error(`postgres ended with ${server.exitCode}`);
      return sql('SELECT 1').then(
        () => true,
        () => false,
      );
    }, PATIENCE);
  } catch (error) {
    await running.stop();
    throw error;
  }
  return running;
}

/** Each of the server's processes is the leader of a group, so no signal reaches them all. */
function signalChildren(server: ChildProcess, signal: NodeJS.Signals): number[] {
  const { stdout } = spawnSync('ps', ['-axo', 'pid=,ppid='], { encoding: 'utf8' });
  const processes = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
  const children = processes.filter(([, parent]) => parent === server.pid).map(([child]) => child ?? 0);
  for (const child of children) kill(child, signal);
  return children;
}

function kill(child: number, signal: NodeJS.Signals): void {
  try {
    process.kill(child, signal);
  } catch {
    // It has ended meanwhile.
  }
}

const DEFAULTS = {
  listen_addresses: HOST,
  unix_socket_directories: '',
  max_connections: 300,
  shared_buffers: '32MB',
  log_min_messages: 'fatal',
};

function newCluster(): string {
  const folder = postgresFolder();
  const passwordFile = join(postgresFolder(), 'password');
  writeFileSync(passwordFile, PASSWORD, { mode: 0o644 });
  runProgram(
    'initdb',
    ...['-D', folder, '--username', SUPERUSER, '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
    ...['--encoding', 'UTF8', '--locale', 'C', '--no-sync', '--no-instructions'],
  );
  rmSync(join(passwordFile, '..'), { recursive: true });
  return folder;
}

let databases = 0;

async function newDatabase({ port, sql }: Pick<PostgresOfTests, 'port' | 'sql'>, options: string): Promise<string> {
  const name = `latchkey_${process.pid}_${(databases += 1)}`;
  await sql(`CREATE ROLE ${name} LOGIN PASSWORD '${PASSWORD}'`);
  await sql(`CREATE DATABASE ${name} OWNER ${name} ${options}`);
  return `postgres://${name}:${PASSWORD}@${HOST}:${port}/${name}`;
}

let shared: Promise<PostgresOfTests> | undefined;

/** A database in a server that all tests of this process share. It ends with the process. */
export async function sharedPostgres(): Promise<{ url: string; stop: () => Promise<void> }> {
  shared ??= startPostgres().then((server) => {
    process.once('exit', () => {
      // Waits for the end of its processes, which would write into the folder meanwhile.
      runProgram('pg_ctl', 'stop', '-D', server.folder, '--mode', 'immediate', '--wait');
      rmSync(server.folder, { recursive: true, force: true });
    });
    return server;
  });
  const server = await shared;
  const url = await server.newDatabase();
  return {
    url,
    stop: async () => {
      await server.sql(`DROP DATABASE ${new URL(url).pathname.slice(1)} WITH (FORCE)`);
    },
  };
}
