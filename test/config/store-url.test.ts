import assert from 'node:assert/strict';
import { parseStoreUrl } from '../../src/config/store-url.ts';

const REDIS = { backend: 'redis', topology: 'single', tls: false, db: 0 };
const POSTGRES = { backend: 'postgres', direct: [], schema: 'latchkey', pool: 10 };
const node = (host: string, port: number) => ({ host, port });

describe('Store URLs', () => {
  for (const [url, expected] of [
    ['sqlite:.latchkey/latchkey.db', { backend: 'sqlite', path: '.latchkey/latchkey.db' }],
    ['sqlite:/var/lib/a b?c#d.db', { backend: 'sqlite', path: '/var/lib/a b?c#d.db' }],
    ['redis://localhost', { ...REDIS, nodes: [node('localhost', 6379)] }],
    ['redis://10.0.0.1:7000/', { ...REDIS, nodes: [node('10.0.0.1', 7000)] }],
    ['rediss://[::1]:6380/2', { ...REDIS, tls: true, db: 2, nodes: [node('::1', 6380)] }],
    ['redis://:pa%40ss%2F:x@h', { ...REDIS, password: 'pa@ss/:x', nodes: [node('h', 6379)] }],
    ['redis://me:pass@h', { ...REDIS, username: 'me', password: 'pass', nodes: [node('h', 6379)] }],
    [
      'redis+sentinel://:p@a,b:5000,c/main/3',
      {
        ...REDIS,
        topology: 'sentinel',
        sentinel: 'main',
        password: 'p',
        db: 3,
        nodes: [node('a', 26_379), node('b', 5000), node('c', 26_379)],
      },
    ],
    [
      'rediss+sentinel://a/main',
      { ...REDIS, topology: 'sentinel', sentinel: 'main', tls: true, nodes: [node('a', 26_379)] },
    ],
    ['redis+cluster://a,b:7001', { ...REDIS, topology: 'cluster', nodes: [node('a', 6379), node('b', 7001)] }],
    [
      'postgres://me:pa%40ss@localhost/db',
      { ...POSTGRES, username: 'me', password: 'pa@ss', database: 'db', nodes: [node('localhost', 5432)] },
    ],
    [
      'postgresql://me@a,b:6432/d%2Fb?target_session_attrs=read-write&direct=c,d:7&schema=other&pool=3&sslrootcert=/ca.pem',
      {
        ...POSTGRES,
        username: 'me',
        database: 'd/b',
        nodes: [node('a', 5432), node('b', 6432)],
        direct: [node('c', 5432), node('d', 7)],
        schema: 'other',
        pool: 3,
        sslrootcert: '/ca.pem',
      },
    ],
    [
      'postgres://me@10.0.0.1/db?sslmode=require',
      { ...POSTGRES, username: 'me', database: 'db', nodes: [node('10.0.0.1', 5432)], sslmode: 'require' },
    ],
    ['REDISS+cluster://a/', { ...REDIS, topology: 'cluster', tls: true, nodes: [node('a', 6379)] }],
  ] as const) {
    it(`The store URL parser reads ${url}`, () => {
      assert.deepEqual(parseStoreUrl(url), expected);
    });
  }

  for (const [url, reason] of [
    ['', /not a store URL: use sqlite:PATH/],
    ['sqlite:', /not a store URL/],
    ['mysql://h', /not a store URL/],
    ['redis+mesh://h', /not a store URL/],
    ['redis://', /not a store URL/],
    ['redis://h?db=1', /not a store URL/],
    ['redis+cluster://a,,b', /an invalid host/],
    ['redis://a:port', /an invalid host/],
    ['redis://a,b', /several hosts/],
    ['redis://h:70000', /an invalid port/],
    ['redis://h/one', /database that is not a number/],
    ['redis://%zz@h', /not percent-encoded/],
    ['redis+sentinel://h', /lacks the name of the master set/],
    ['postgres://h/db', /lacks the user/],
    ['postgres://me@h', /not a PostgreSQL URL/],
    ['postgres://me@/db', /not a PostgreSQL URL/],
    ['postgres://me@h/db/more', /not a PostgreSQL URL/],
    ['postgres://me@h:0x1/db', /an invalid host/],
    ['postgres://me@localhost/db?sslrootcert=/ca.pem', /sslrootcert, which sslmode=disable ignores/],
    ['postgres://me@h/db?sslmode=prefer', /an unknown sslmode: use disable, require, verify-ca, verify-full/],
    ['postgres://me@h/db?sslmode=disable&sslrootcert=/ca.pem', /sslmode=disable ignores/],
    ['postgres://me@h/db?sslrootcert=ca.pem', /sslrootcert as a full path/],
    ['postgres://me@h/db?sslmode=disable&sslmode=require', /unknown or repeated/],
    ['postgres://me@h/db?options=-c', /unknown or repeated parameter: use direct, pool, schema/],
    ['postgres://me@h/db?target_session_attrs=any', /must not set target_session_attrs to anything but read-write/],
    ['postgres://me@h/db?schema=a-b', /an invalid schema/],
    ['postgres://me@h/db?pool=1', /an invalid pool: use 2 to 200/],
    ['postgres://me@h/d%zz', /database that is not percent-encoded/],
    ['redis+cluster://h/1', /only the database 0/],
  ] as const) {
    it(`The store URL parser refuses "${url}" with the reason`, () => {
      assert.throws(() => parseStoreUrl(url), reason);
    });
  }

  it('A refusal never repeats the store URL, which may contain a password', () => {
    for (const url of [
      'postgres://me:hunter2@h',
      'postgres://me:hunter2@h/d?x=hunter2',
      'redis://:hunter2@h/x',
      'redis://:hunter2@a:b',
      'rodis://:hunter2@h',
      'redis://:hunter2%@h',
    ]) {
      assert.throws(
        () => parseStoreUrl(url),
        (error: Error) => !error.message.includes('hunter2'),
      );
    }
  });
});
