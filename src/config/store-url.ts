import { isAbsolute } from 'node:path';

/** Host and port of a store's server. */
export interface StoreNode {
  host: string;
  port: number;
}

/**
 * Address of a Redis store. With Sentinel, `sentinel` is the name of the master set, and `nodes` are the sentinels.
 * Otherwise `nodes` are the Redis servers.
 */
export interface RedisUrl {
  backend: 'redis';
  topology: 'single' | 'sentinel' | 'cluster';
  tls: boolean;
  nodes: StoreNode[];
  sentinel?: string;
  username?: string;
  password?: string;
  db: number;
}

/**
 * Address of a PostgreSQL store. The `nodes` are the servers of one cluster, or poolers in front of it, in the order in
 * which the server tries them.
 */
export interface PostgresUrl {
  backend: 'postgres';
  nodes: StoreNode[];
  /** Servers that carry the notices if `nodes` are poolers. */
  direct: StoreNode[];
  database: string;
  username: string;
  password?: string;
  schema: string;
  /** Absent: `verify-full`, but `disable` for a server on this machine. */
  sslmode?: SslMode;
  /** Absolute path of the file with the trusted certificates. */
  sslrootcert?: string;
  /** Maximum number of connections of one process. */
  pool: number;
}

type SslMode = (typeof SSL_MODES)[number];

type StoreUrl = { backend: 'sqlite'; path: string } | RedisUrl | PostgresUrl;

const FORMS =
  'sqlite:PATH, redis://HOST, redis+sentinel://H1,H2/NAME, redis+cluster://H1,H2 (rediss… for TLS) or ' +
  'postgres://USER:PASSWORD@H1,H2/DATABASE';
const REDIS = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/([^?#]*))?$/i;
const NODE = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/i;
const DEFAULT_PORT = { single: 6379, cluster: 6379, sentinel: 26_379, postgres: 5432 };
const POSTGRES = /^postgres(?:ql)?:\/\/(?:([^@/?]*)@)?([^@/?#]+)\/([^/?#]+)(?:\?([^#]*))?$/i;
const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;
const PARAMETERS = ['direct', 'pool', 'schema', 'sslmode', 'sslrootcert', 'target_session_attrs'];
const DEFAULT_POOL = 10;
/**
 * Limits on the pool size. A single connection would make all requests wait for each other, and PostgreSQL runs a
 * process for each connection.
 */
const POOLS = { least: 2, greatest: 200 };

/**
 * Parses a store URL by hand, because it may list several hosts, which the URL standard does not allow. @throws Error
 * without the URL in its message, because the URL may hold a password
 */
export function parseStoreUrl(url: string): StoreUrl {
  if (/^sqlite:./.test(url)) return { backend: 'sqlite', path: url.slice('sqlite:'.length) };
  if (/^postgres(ql)?:/i.test(url)) return parsePostgresUrl(url);
  const [, scheme, form, userinfo, hosts, path = ''] = REDIS.exec(url) ?? [];
  if (scheme === undefined || hosts === undefined) throw new Error(`not a store URL: use ${FORMS}`);
  const topology = topologyOf(form?.toLowerCase());
  if (topology === 'single' && hosts.includes(',')) {
    throw new Error('the store URL names several hosts: write redis+sentinel: or redis+cluster:');
  }
  return {
    backend: 'redis',
    topology,
    tls: scheme.toLowerCase() === 'rediss',
    nodes: hosts.split(',').map((host) => readNode(host, DEFAULT_PORT[topology])),
    ...readCredentials(userinfo),
    ...readPath(topology, path),
  };
}

/** Returns a store URL without user and password. */
export function printableStoreUrl(url: string): string {
  return url.replace(/^(\w+(?:\+\w+)?:\/\/)[^@/]*@/, '$1');
}

/** Tells whether a store URL has a password. */
export function hasPassword(url: string): boolean {
  return /^\w+(?:\+\w+)?:\/\/[^@/:]*:[^@/]+@/.test(url);
}

function parsePostgresUrl(url: string): PostgresUrl {
  const [, userinfo, hosts, path = '', query = ''] = POSTGRES.exec(url) ?? [];
  if (hosts === undefined) throw new Error('not a PostgreSQL URL: use postgres://USER:PASSWORD@HOST/DATABASE');
  const { username, password } = readCredentials(userinfo);
  if (username === undefined) throw new Error('the store URL lacks the user: postgres://USER:PASSWORD@HOST/DATABASE');
  const parameters = readParameters(query);
  const nodes = readNodes(hosts);
  const direct = parameters.has('direct') ? readNodes(parameters.get('direct') ?? '') : [];
  return {
    backend: 'postgres',
    nodes,
    direct,
    database: readPart(path, 'database'),
    username,
    ...(password !== undefined && { password }),
    schema: readSchema(parameters.get('schema') ?? 'latchkey'),
    ...readTls(parameters, [...nodes, ...direct]),
    pool: readPool(parameters.get('pool')),
  };
}

function readNodes(hosts: string): StoreNode[] {
  return hosts.split(',').map((host) => readNode(host, DEFAULT_PORT.postgres));
}

function readParameters(query: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split('&').filter((one) => one !== '')) {
    const [name = '', ...value] = part.split('=');
    if (!PARAMETERS.includes(name) || parameters.has(name)) {
      throw new Error(`the store URL has an unknown or repeated parameter: use ${PARAMETERS.join(', ')}`);
    }
    parameters.set(name, readPart(value.join('='), 'parameter'));
  }
  if ((parameters.get('target_session_attrs') ?? 'read-write') !== 'read-write') {
    throw new Error('the store URL must not set target_session_attrs to anything but read-write');
  }
  return parameters;
}

/** Tells whether a server is on this machine. */
export function isLocal({ host }: StoreNode): boolean {
  return /^(localhost|127\.[\d.]+|::1)$/i.test(host);
}

/** Reads the TLS parameters. */
function readTls(parameters: Map<string, string>, nodes: StoreNode[]): Pick<PostgresUrl, 'sslmode' | 'sslrootcert'> {
  const given = parameters.get('sslmode');
  const sslmode = SSL_MODES.find((mode) => mode === given);
  if (given !== sslmode) throw new Error(`the store URL has an unknown sslmode: use ${SSL_MODES.join(', ')}`);
  const sslrootcert = parameters.get('sslrootcert');
  const mode = sslmode !== undefined && { sslmode };
  if (sslrootcert === undefined) return { ...mode };
  const effective = sslmode ?? (nodes.every(isLocal) ? 'disable' : 'verify-full');
  if (!effective.startsWith('verify'))
    throw new Error(`the store URL has sslrootcert, which sslmode=${effective} ignores`);
  if (!isAbsolute(sslrootcert)) throw new Error('the store URL must give sslrootcert as a full path');
  return { ...mode, sslrootcert };
}

function readSchema(schema: string): string {
  if (/^[a-z_][a-z\d_]{0,39}$/.test(schema)) return schema;
  throw new Error('the store URL has an invalid schema: use at most 40 of a to z, 0 to 9 and _');
}

function readPool(text: string | undefined): number {
  const pool = Number(text ?? DEFAULT_POOL);
  if (Number.isInteger(pool) && pool >= POOLS.least && pool <= POOLS.greatest) return pool;
  throw new Error(`the store URL has an invalid pool: use ${POOLS.least} to ${POOLS.greatest}`);
}

function readPart(text: string, name: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`the store URL has a ${name} that is not percent-encoded: write %25 for %`);
  }
}

function topologyOf(form: string | undefined): RedisUrl['topology'] {
  return form === 'sentinel' || form === 'cluster' ? form : 'single';
}

function readNode(text: string, defaultPort: number): StoreNode {
  const [, host, port] = NODE.exec(text) ?? [];
  if (host === undefined) throw new Error('the store URL has an invalid host: write HOST or HOST:PORT');
  if (Number(port) > 65_535) throw new Error('the store URL has an invalid port: use 1 to 65535');
  return { host: host.replace(/^\[|\]$/g, ''), port: port === undefined ? defaultPort : Number(port) };
}

function readCredentials(userinfo: string | undefined): { username?: string; password?: string } {
  if (userinfo === undefined) return {};
  const [username = '', ...password] = userinfo.split(':');
  try {
    return {
      ...(username !== '' && { username: decodeURIComponent(username) }),
      ...(password.length > 0 && { password: decodeURIComponent(password.join(':')) }),
    };
  } catch {
    throw new Error('the store URL has a user or password that is not percent-encoded: write %25 for %');
  }
}

function readPath(topology: RedisUrl['topology'], path: string): { sentinel?: string; db: number } {
  const parts = path.replace(/\/$/, '').split('/');
  const sentinel = topology === 'sentinel' ? parts.shift() : undefined;
  if (sentinel === '') throw new Error('the store URL lacks the name of the master set: redis+sentinel://H1,H2/NAME');
  const db = parts.join('/');
  if (!/^\d{0,4}$/.test(db)) throw new Error('the store URL names a database that is not a number');
  if (topology === 'cluster' && Number(db) !== 0) throw new Error('a Redis Cluster has only the database 0');
  return { ...(sentinel !== undefined && { sentinel }), db: Number(db) };
}
