import assert from 'node:assert/strict';
import { join } from 'node:path';
import { run as runLine } from '../../src/cli/run.ts';
import { foreignIssuer, JWT_BEARER, now, type ForeignIssuer } from '../grants/jwt-bearer/foreign-issuer.ts';
import { makeStore } from '../support/made-store.ts';
import { WorkingDirectory, type Ended } from './latchkey.ts';

const HERE = 'https://login.example.com';
const API = 'https://api.example.com';

describe('The command latchkey issuers', () => {
  let directory: WorkingDirectory;
  let partner: ForeignIssuer;
  let cluster: ForeignIssuer;

  beforeEach(async () => {
    directory = new WorkingDirectory();
    await makeStore(`sqlite:${join(directory.path, 'store.db')}`, 'configured', join(directory.path, 'keys'));
    partner = foreignIssuer('https://partner.example', HERE);
    cluster = foreignIssuer('https://cluster.example', HERE, 'RS256');
    const client = {
      client_name: 'Portal',
      type: 'machine',
      secret: { env: 'SECRET' },
      grant_types: [JWT_BEARER],
      resources: [API],
    };
    write('latchkey.yaml', {
      issuer: HERE,
      stores: { grants: `sqlite:${join(directory.path, 'store.db')}` },
      resources: [{ identifier: API, name: 'API', scopes: { 'orders:read': { description: 'Read' } } }],
      clients: [
        { ...client, client_id: 'portal' },
        { ...client, client_id: 'other' },
      ],
      trusted_issuers: [entry(cluster)],
    });
    write('partner.yaml', entry(partner, { subject: { is: 'new_account' }, claims: {} }));
  });
  afterEach(() => directory.remove());

  /** JSON is YAML too. */
  function write(name: string, content: object): void {
    directory.write(name, JSON.stringify(content, undefined, 1));
  }

  function entry({ issuer, jwk }: ForeignIssuer, more: object = {}): object {
    return {
      issuer,
      jwks: { keys: [jwk] },
      subject: { is: 'service' },
      claims: { sub: ['system:serviceaccount:shop:orders'] },
      clients: ['portal'],
      resources: [API],
      scopes: ['orders:read'],
      ...more,
    };
  }

  /** Runs the command in this process, on the files of the directory, whose own path is left out of what is printed. */
  async function run(...words: string[]): Promise<Ended> {
    return runWith('', ...words);
  }

  async function runWith(input: string, ...words: string[]): Promise<Ended> {
    const printed = { out: '', err: '' };
    const show = (text: string): string => `${text.replaceAll(`${directory.path}/`, '')}\n`;
    const inDirectory = words.map((word) => (word.endsWith('.yaml') ? join(directory.path, word) : word));
    const code = await runLine(['issuers', ...inDirectory, '--config', join(directory.path, 'latchkey.yaml')], {
      environment: { SECRET: 'a-secret-that-is-really-long-enough' },
      print: (text) => void (printed.out += show(text)),
      warn: (text) => void (printed.err += show(text)),
      ask: () => Promise.resolve(undefined),
      input: () => Promise.resolve(input),
    });
    return { code, ...printed };
  }

  const pod = (claims: object = {}): string =>
    cluster.assertion({ sub: 'system:serviceaccount:shop:orders', aud: [HERE], ...claims });
  const verdict = ({ out }: Ended): string => out.trimEnd().split('\n').at(-1) ?? '';

  it('"issuers list" shows the issuers of the configuration and of the store', async () => {
    const added = await run('add', 'partner.yaml');
    assert.deepEqual(added, { code: 0, out: 'added issuer "https://partner.example" in sqlite:store.db\n', err: '' });
    const { out } = await run('list');
    assert.equal(
      out,
      `issuer                   subject      clients  where
https://cluster.example  service      portal   configuration
https://partner.example  new_account  portal   store
`,
    );
    const [, stored] = JSON.parse((await run('list', '--json')).out) as Record<string, unknown>[];
    assert.deepEqual([stored?.['issuer'], stored?.['max_lifetime']], ['https://partner.example', 600]);
  });

  it('"latchkey issuers" replaces and removes an issuer of the store', async () => {
    await run('add', 'partner.yaml');
    assert.match((await run('add', 'partner.yaml')).out, /^replaced issuer/);
    assert.deepEqual(await run('remove', 'https://partner.example'), {
      code: 0,
      out: 'removed issuer "https://partner.example" from sqlite:store.db\n',
      err: '',
    });
    assert.equal((await run('remove', 'https://partner.example')).code, 1);
    assert.match((await run('list')).out, /^.*\n.*cluster.*\n$/);
  });

  it('"issuers add" refuses an issuer of the configuration or with problems, and names the problems', async () => {
    write('partner.yaml', entry(cluster));
    const taken = await run('add', 'partner.yaml');
    assert.equal(taken.code, 1);
    assert.match(taken.err, /issuer: issuer "https:\/\/cluster\.example": is already in the configuration/);
    write('partner.yaml', entry(partner, { claims: {}, max_lifetime: '2d', resources: ['https://apy.example.com'] }));
    const { code, err } = await run('add', 'partner.yaml');
    assert.equal(code, 1);
    assert.match(err, /has 3 problems/);
    assert.match(err, /max_lifetime: .*must be at most 24h/);
    assert.match(err, /claims: .*is required if subject\.is is "service"/);
    assert.match(err, /resources\[0\]: .*is not under resources \(did you mean https:\/\/api\.example\.com\?\)/);
  });

  it('"issuers remove" explains how to remove an issuer of the configuration', async () => {
    const { code, err } = await run('remove', cluster.issuer);
    assert.deepEqual([code, err.includes('remove it from latchkey.yaml, restart the server')], [1, true]);
  });

  it('"issuers test" says what a token would yield, as often as it is asked', async () => {
    await run('add', 'partner.yaml');
    const token = pod();
    for (const tried of [await run('test', token), await run('test', token)]) {
      assert.deepEqual(
        [tried.code, verdict(tried), tried.err],
        [0, 'The token is accepted: client "portal" gets a token for the client itself.', ''],
      );
      assert.match(tried.out, /^client {8}portal\nresource {6}https:\/\/api\.example\.com\n/m);
    }
    const person = partner.assertion({ email: 'zoe@partner.example', email_verified: true });
    assert.equal(
      verdict(await run('test', person)),
      'The token is accepted: client "portal" gets a token for a new account zoe@partner.example.',
    );
  });

  it('"issuers test" says which check refuses a token and why', async () => {
    const refusals: [token: string, reason: string, more?: string[]][] = [
      ['nonsense', 'not_a_jwt'],
      [partner.assertion(), 'issuer_unknown'],
      [pod({ aud: API }), 'audience_foreign'],
      [pod({ exp: now() - 100 }), 'expired'],
      [pod({ sub: 'system:serviceaccount:shop:other' }), 'claim_not_accepted'],
      [pod(), 'client_not_allowed', ['--client', 'other']],
    ];
    for (const [token, reason, more = []] of refusals) {
      const tried = await run('test', token, ...more);
      assert.deepEqual([tried.code, tried.err], [1, '']);
      assert.match(tried.out, /^The token is refused. This check failed: .+\.$/m);
      assert.match(verdict(tried), new RegExp(`^It is check \\d+ of \\d+ \\(${reason}\\); docs/trusted-issuers`));
    }
  });

  it('"issuers test" reads the token from standard input, where nobody else sees it', async () => {
    const tried = await runWith(`${pod()}\n`, 'test', '-');
    assert.deepEqual([tried.code, tried.err], [0, '']);
    assert.match(verdict(tried), /^The token is accepted: /);
  });

  it('"issuers test" shows no control characters of a token', async () => {
    const { out } = await run('test', pod({ sub: '\u001B[2J\u202Eevil' }));
    assert.doesNotMatch(out, /[^\n\x20-\x7E\uFFFD]/);
  });

  it('"issuers test" reports an unknown client', async () => {
    const { code, err } = await run('test', pod(), '--client', 'nobody');
    assert.deepEqual([code, err], [1, 'latchkey: there is no client "nobody"; "latchkey clients list" shows all\n']);
  });
});
