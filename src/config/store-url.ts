export interface RedisNode {
  host: string;
  port: number;
}

/**
 * Address of a Redis. With Sentinel, `sentinel` is the master's name and `nodes` are the sentinels; otherwise the
 * servers.
 */
export interface RedisUrl {
  backend: 'redis';
  topology: 'single' | 'sentinel' | 'cluster';
  tls: boolean;
  nodes: RedisNode[];
  sentinel?: string;
  username?: string;
  password?: string;
  db: number;
}

export type StoreUrl = { backend: 'sqlite'; path: string } | RedisUrl;

const FORMS = 'sqlite:PATH, redis://HOST, redis+sentinel://H1,H2/NAME or redis+cluster://H1,H2 (rediss… for TLS)';
const REDIS = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/([^?#]*))?$/i;
const NODE = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/i;
const DEFAULT_PORT = { single: 6379, cluster: 6379, sentinel: 26_379 };

/**
 * Parses a store URL. It may list several hosts, which the URL standard does not allow, so it is parsed by hand.
 * @throws Error without the URL in it, which may hold a password
 */
export function parseStoreUrl(url: string): StoreUrl {
  if (/^sqlite:./.test(url)) return { backend: 'sqlite', path: url.slice('sqlite:'.length) };
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

function topologyOf(form: string | undefined): RedisUrl['topology'] {
  return form === 'sentinel' || form === 'cluster' ? form : 'single';
}

function readNode(text: string, defaultPort: number): RedisNode {
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
  if (topology === 'cluster' && Number(db) !== 0) throw new Error('a Redis Cluster has no database but 0');
  return { ...(sentinel !== undefined && { sentinel }), db: Number(db) };
}
