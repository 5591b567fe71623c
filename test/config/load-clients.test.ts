import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadClients, type LoadedClients } from '../../src/config/loading/load-items.ts';
import { parse, refusal } from './problems-of.ts';

const API = 'https://api.example.com';

const { config } = parse(`issuer: http://localhost:3000
resources:
  - identifier: ${API}
    name: API
    scopes: { 'notes:read': { description: Read notes } }
clients:
  - { client_id: shop, client_name: Shop, type: spa, redirect_uris: ['https://shop.example.com/callback'] }
`);

const JOB = `client_id: job
client_name: Nightly job
type: machine
secret: { env: JOB_SECRET }
scopes: ['notes:read']
resources: [${API}]
`;

describe('Client files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-clients-'));
  after(() => rmSync(folder, { recursive: true }));

  function load(text: string): LoadedClients {
    writeFileSync(join(folder, 'clients.yaml'), text);
    return loadClients(join(folder, 'clients.yaml'), config, { JOB_SECRET: 'the-secret-of-the-nightly-job' });
  }

  const problemsOf = (text: string): string[] =>
    refusal(() => load(text)).problems.map(
      ({ line, path, message }) => `${line ?? '-'} ${path === '' ? '' : `${path}: `}${message}`,
    );

  it('A client file has the form and the defaults of the configuration, for one client or a list', () => {
    const alone = load(JOB).clients;
    const [listed, app] = load(`clients:
  - ${JOB.replaceAll('\n', '\n    ')}
  - { client_id: app, client_name: App, type: spa, redirect_uris: ['com.example.app:/callback', 'http://127.0.0.1/callback'] }
`).clients;
    assert.deepEqual([alone[0]?.client_id, alone[0]?.introspection, alone.length], ['job', false, 1]);
    assert.equal(alone[0]?.secret?.reveal(), 'the-secret-of-the-nightly-job');
    assert.equal(JSON.stringify(listed), JSON.stringify(alone[0]));
    assert.deepEqual([app?.client_id, app?.scopes], ['app', ['openid', 'profile', 'email']]);
  });

  it('A device client needs no redirect URI', () => {
    const tv =
      'client_id: tv\nclient_name: TV\ntype: spa\ngrant_types: [urn:ietf:params:oauth:grant-type:device_code]\n';
    assert.deepEqual(load(tv).clients[0]?.redirect_uris, []);
  });

  it('The problems are listed in the order of the file, even within one line', () => {
    const paths = refusal(() =>
      load(`clients:
  - { client_id: a, frst_party: true, client_name: A, type: spb, scopes: [opnid], secret: hunter2 }
  - client_id: b
    secret: { env: NONE }
    type: web
    client_name: ''
    scopes: [nope]
`),
    ).problems.map(({ path }) => path);
    assert.deepEqual(paths, [
      ...['clients[0].frst_party', 'clients[0].type', 'clients[0].scopes[0]', 'clients[0].secret'],
      ...['clients[1].redirect_uris', 'clients[1].secret', 'clients[1].client_name', 'clients[1].scopes[0]'],
    ]);
  });

  it('The report names every problem at once with its line and its client', () => {
    const problems = problemsOf(`clients:
  - { client_id: sound, client_name: Sound, type: spa, redirect_uris: ['https://app.example/callback'] }
  - { client_id: shop, client_name: Impostor, type: spa, redirect_uris: ['https://evil.example/callback'] }
  - client_id: job
    client_name: Job
    type: machine
    secret: in-the-clear
    scopes: [notes:write]
    resources: [${API}, urn:other]
  - { client_id: sound, client_name: Twice, type: spa, redirect_uris: ['https://app.example/*'] }
  - { client_id: odd, client_name: Odd, type: spb }
  - { client_id: last, client_name: Last, type: web, secret: { env: NOT_SET }, redirect_uris: ['http://app.example'], frst_party: true }
`);
    assert.deepEqual(problems, [
      '3 clients[1].client_id: client "shop": is the id of a client in the configuration: change it there',
      '7 clients[2].secret: client "job": a secret may not stand in this file; write { file: PATH } or { env: NAME }',
      '8 clients[2].scopes[0]: client "job": is not a scope of any of its resources; their scopes are openid, profile, email, roles, offline_access, notes:read',
      '9 clients[2].resources[1]: client "job": is not under resources',
      '10 clients[3].client_id: client "sound": is already used as the client_id of clients[0]',
      '10 clients[3].redirect_uris[0]: client "sound": must not have a wildcard; list every address',
      '11 clients[4].type: client "odd": must be one of spa, web, machine (did you mean spa?)',
      '12 clients[5].secret: client "last": the environment variable NOT_SET is not set',
      '12 clients[5].redirect_uris[0]: client "last": must be https: http is for loopback addresses only',
      '12 clients[5].frst_party: client "last": is not a setting (did you mean first_party?)',
    ]);
  });

  const app = (redirects: string): string => `{ client_id: app, client_name: App, type: spa, ${redirects} }`;
  const faulty: Record<string, [string, string]> = {
    'a scope that none of its resources has': [
      JOB.replace("'notes:read'", "'notes:raed'"),
      '5 scopes[0]: client "job": is not a scope of any of its resources (did you mean notes:read?)',
    ],
    'no content': ['', '- must be a client, or a list of them under clients'],
    'a list without the clients key': [
      `- ${JOB.replaceAll('\n', '\n  ')}`,
      '- must be a client, or a list of them under clients',
    ],
    'an empty list': ['clients: []', '1 clients: needs at least one client'],
    'a mapping in place of the list': ['clients: { job: 1 }', '1 clients: must be a list'],
    'a text in place of a client': [
      'clients: [job]',
      '1 clients[0]: must be a mapping of settings: docs/latchkey.example.yaml lists all',
    ],
    'other settings than clients': [
      `issuer: http://localhost:3000\nclients:\n  - ${JOB.replaceAll('\n', '\n    ')}`,
      '1 issuer: is not a setting',
    ],
    'invalid YAML': ['client_id: "job', '1 is not YAML'],
    'a repeated setting': [
      `${JOB}type: machine\n`,
      '7 type is written twice in one mapping, first on line 3; keep one',
    ],
    'a hash in place of a secret': [`${JOB}secret_hash: a.b\n`, '7 secret_hash: client "job": is not a setting'],
    'a native app that listens with https': [
      app("redirect_uris: ['com.example.app:/cb', 'https://localhost/cb']"),
      '1 redirect_uris[1]: client "app": must be http for a native app',
    ],
    'a native app that listens at another host name': [
      app("redirect_uris: ['http://127.0.0.1/cb'], post_logout_redirect_uris: ['http://app.localhost/']"),
      '1 post_logout_redirect_uris[0]: client "app": must be on 127.0.0.1, [::1] or localhost for a native app',
    ],
  };
  for (const [what, [text, problem]] of Object.entries(faulty)) {
    it(`A client file with ${what} is refused`, () => {
      const [first = '', ...others] = problemsOf(text);
      assert.ok(first.startsWith(problem), first);
      assert.deepEqual(others, []);
    });
  }

  it('A client’s ID tokens can only be signed with an algorithm that the configuration lists', () => {
    const app = "client_id: app\nclient_name: App\ntype: spa\nredirect_uris: ['https://app.example/callback']\n";
    assert.deepEqual(problemsOf(`${app}id_token_signing_alg: PS256`), [
      '5 id_token_signing_alg: client "app": is PS256, which keys.algorithms does not list: ES256, RS256',
    ]);
    assert.equal(load(`${app}id_token_signing_alg: RS256`).clients[0]?.id_token_signing_alg, 'RS256');
  });
});
