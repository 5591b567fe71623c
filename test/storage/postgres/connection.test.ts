import assert from 'node:assert/strict';
import { parseStoreUrl } from '../../../src/config/store-url.ts';
import { connectionOptions } from '../../../src/storage/postgres/connection.ts';

describe('A connection to PostgreSQL', () => {
  /** Whether the connections to each server of a store URL are in TLS that verifies its name; undefined: in clear. */
  const verifying = (text: string): (boolean | undefined)[] => {
    const url = parseStoreUrl(text);
    assert.equal(url.backend, 'postgres');
    return [...url.nodes, ...url.direct].map((node) => {
      const { ssl } = connectionOptions(url, node);
      return typeof ssl === 'object' ? ssl.rejectUnauthorized === true && !('checkServerIdentity' in ssl) : undefined;
    });
  };

  it('A PostgreSQL connection is unencrypted only to this machine, also for notices beside a pooler', () => {
    assert.deepEqual(verifying('postgres://me:p@localhost:6432/db?direct=pg1,127.0.0.1'), [undefined, true, undefined]);
    assert.deepEqual(verifying('postgres://me:p@pg1,[::1]/db'), [true, undefined]);
  });

  it('The setting sslmode applies wherever the PostgreSQL server is', () => {
    assert.deepEqual(verifying('postgres://me:p@localhost/db?direct=pg1&sslmode=verify-full'), [true, true]);
    assert.deepEqual(verifying('postgres://me:p@localhost/db?direct=pg1&sslmode=require'), [false, false]);
    assert.deepEqual(verifying('postgres://me:p@pg1/db?sslmode=disable'), [undefined]);
  });
});
