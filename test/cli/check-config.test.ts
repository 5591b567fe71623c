import assert from 'node:assert/strict';
import { chmodSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { WorkingDirectory } from './latchkey.ts';

const VALID = `issuer: https://login.example.com
clients:
  - client_id: shop
    client_name: Shop
    type: spa
    redirect_uris: [https://shop.example.com/callback]
  - client_id: job
    client_name: Job
    type: machine
    secret: { env: JOB_SECRET }`;

describe('The command latchkey check-config', () => {
  let directory: WorkingDirectory;
  beforeEach(() => {
    directory = new WorkingDirectory();
  });
  afterEach(() => directory.remove());

  it('"check-config" summarizes a valid file without its secrets and exits with 0', async () => {
    directory.write('latchkey.yaml', VALID);
    const { code, out, err } = await directory.run(['check-config'], {
      JOB_SECRET: 'hunter2-the-long-and-longer-version',
      LATCHKEY_STORE: 'redis://user:hunter2@redis:6379/1',
    });
    assert.deepEqual([code, err], [0, '']);
    assert.equal(
      out,
      `configuration is valid: latchkey.yaml

  issuer      https://login.example.com
  listens on  127.0.0.1:3000
  workers     1
  grants      redis://redis:6379/1
  records     the same store
  keys        ${join(realpathSync(directory.path), 'keys')}
  clients     2 (1 spa, 1 machine)
  resources   none
  sign-up     closed
`,
    );
  });

  it('"check-config" prints every problem of the named file and exits with 1', async () => {
    directory.write('other.yaml', VALID.replace('https://login', 'http://login').replace('type: spa', 'type: spb'));
    const { code, out, err } = await directory.run(['check-config', '--config', 'other.yaml']);
    assert.deepEqual([code, out], [1, '']);
    assert.equal(
      err,
      `latchkey: other.yaml has 3 problems:

  other.yaml:1   issuer: must be https: http is for loopback addresses only (it is "http://login.example.com")
  other.yaml:5   clients[0].type: client "shop": must be one of spa, web, machine (did you mean spa?) (it is "spb")
  other.yaml:10  clients[1].secret: client "job": the environment variable JOB_SECRET is not set
`,
    );
  });

  it('"check-config" warns about unsafe settings of a usable file', async () => {
    directory.write('latchkey.yaml', VALID.replace('{ env: JOB_SECRET }', '{ file: job }'));
    directory.write('job', 'hunter2-the-long-and-longer-version');
    const { code, err } = await directory.run(['check-config']);
    assert.equal(code, 0);
    assert.match(
      err,
      /^warning:\n {2}latchkey\.yaml:10 {2}clients\[1\]\.secret: client "job": every user of this machine may read job/,
    );
  });

  it('"check-config" refuses weak client secrets, even from separate files, and prints none of them', async () => {
    directory.write(
      'latchkey.yaml',
      VALID.replace('{ env: JOB_SECRET }', '{ file: job }\n    previous_secret: { env: OLD }'),
    );
    directory.write('job', 'xyq\n');
    chmodSync(join(directory.path, 'job'), 0o600);
    const { code, out, err } = await directory.run(['check-config'], { OLD: 'demo-web-secret' });
    assert.deepEqual([code, out], [1, '']);
    const ofJob = (key: string, bits: number) =>
      `clients[1].${key}: client "job": can be guessed: it has at most ${bits} bits of entropy instead of 128; generate one with latchkey secret new`;
    assert.equal(
      err,
      `latchkey: latchkey.yaml has 2 problems:\n\n  latchkey.yaml:10  ${ofJob('secret', 14)}\n  latchkey.yaml:11  ${ofJob('previous_secret', 71)}\n`,
    );
  });

  it('"check-config" warns about account passwords that the first start would refuse', async () => {
    directory.write(
      'latchkey.yaml',
      `issuer: https://login.example.com
accounts:
  - { email: ann@example.com, name: Ann, password: { env: WEAK } }
  - { email: bea@example.com, name: Bea, password: { env: GOOD } }`,
    );
    const { code, out, err } = await directory.run(['check-config'], {
      WEAK: 'password1234567',
      GOOD: 'plum cassette harbour',
    });
    assert.equal(code, 0);
    assert.match(out, /^configuration is valid/);
    assert.match(
      err,
      /^warning:\n {2}latchkey\.yaml:3 {2}accounts\[0\]\.password: is too weak, so the first start refuses to create the account\. .+\n\n$/,
    );
    assert.ok(!err.includes('password1234567'));
  });

  it('"check-config" names a missing file', async () => {
    const { code, err } = await directory.run(['check-config', '--config', 'none.yaml']);
    assert.equal(code, 1);
    assert.match(
      err,
      /^latchkey: none\.yaml has a problem:\n\n {2}cannot be read \(ENOENT\): .*none\.yaml does not exist; name an existing file\n$/,
    );
  });
});
