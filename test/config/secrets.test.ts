import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describeProblems } from '../../src/config/problems.ts';
import { parse, problemsOf, refusal } from './problems-of.ts';

const SECRET = 'hunter2-the-long-and-longer-version';

function web(secret: string): string {
  return `issuer: https://login.example.com
clients:
  - client_id: web
    client_name: Web
    type: web
    redirect_uris: [https://web.example.com/callback]
    secret: ${secret}`;
}

describe('Secrets in the configuration', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-secrets-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  function write(name: string, text: string, mode = 0o600): void {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), mode);
  }

  it('A secret is read from a file beside the configuration, without its final line break', () => {
    for (const text of [SECRET, `${SECRET}\n`, `${SECRET}\r\n`]) {
      write('web', text);
      const { config, warnings } = parse(web('{ file: web }'), { folder });
      assert.equal(config.clients[0]?.secret?.reveal(), SECRET);
      assert.deepEqual(warnings, []);
    }
  });

  it('A secret is read from an environment variable', () => {
    const { config } = parse(web('{ env: WEB_SECRET }'), { environment: { WEB_SECRET: SECRET } });
    assert.equal(config.clients[0]?.secret?.reveal(), SECRET);
  });

  it('A secret is never visible in a printed configuration', () => {
    const { config } = parse(web('{ env: WEB_SECRET }'), { environment: { WEB_SECRET: SECRET } });
    const shown = [
      JSON.stringify(config),
      inspect(config, { depth: 9, showHidden: true }),
      String(config.clients[0]?.secret),
    ];
    for (const text of shown) assert.ok(!text.includes(SECRET), text);
    assert.match(shown[0] ?? '', /"secret":"\[secret\]"/);
  });

  it('A secret in the file itself is refused and not repeated in the report', () => {
    for (const written of [SECRET, `"${SECRET}"`, `[${SECRET}]`]) {
      const { message } = refusal(() => parse(web(written)));
      assert.match(message, /yaml:7 .*a secret may not stand in this file; write \{ file: PATH \} or \{ env: NAME \}/);
      assert.ok(!message.includes(SECRET));
    }
  });

  it('The report of a YAML error does not repeat a secret', () => {
    for (const broken of [
      `"${SECRET}`,
      `{ ${SECRET}`,
      `"${SECRET}" ${SECRET}`,
      `!${SECRET} x`,
      `*${SECRET}`,
      `"\\${SECRET}"`,
    ]) {
      const { message } = refusal(() => parse(web(broken)));
      assert.ok(!message.includes(SECRET), message);
    }
  });

  it('A secret needs a reference in one of the two forms', () => {
    for (const written of ['{}', '{ file: a, env: B }', '{ path: a }', '{ env: "" }', '{ file: [a] }']) {
      assert.deepEqual(problemsOf(web(written), { folder }), [
        '7 clients[0].secret: client "web": is not a reference to a secret; write { file: PATH } or { env: NAME }',
      ]);
    }
  });

  it('The report says why a secret cannot be read', () => {
    write('empty', '\n');
    write('large', 'x'.repeat(65_537));
    write('binary', 'a\u0000b');
    mkdirSync(join(folder, 'directory'));
    const reasons = {
      '{ env: NOT_SET }': 'the environment variable NOT_SET is not set',
      '{ file: no-such }': `the file ${join(folder, 'no-such')} cannot be read (ENOENT); create it: latchkey secret new --file ${join(folder, 'no-such')}`,
      '{ file: directory }': `the file ${join(folder, 'directory')} cannot be read (EISDIR)`,
      '{ file: empty }': 'the file empty is empty',
      '{ file: large }': 'the file large is larger than 64 KiB',
      '{ file: binary }': 'must be printable ASCII without line breaks',
    };
    for (const [written, reason] of Object.entries(reasons)) {
      assert.deepEqual(problemsOf(web(written), { folder }), [`7 clients[0].secret: client "web": ${reason}`]);
    }
  });

  it('The report does not repeat a secret that was written in place of its name', () => {
    const pem = '-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIEIHunter2\\n-----END PRIVATE KEY-----';
    for (const written of ['{ env: "aG/Hunter2+w==" }', `{ file: "${pem}" }`]) {
      assert.deepEqual(problemsOf(web(written), { folder }), [
        '7 clients[0].secret: client "web": must be a reference to a secret, not the secret itself; write { file: PATH } or { env: NAME }',
      ]);
    }
    const text = (setting: string) => `issuer: https://a.example\n${setting}`;
    for (const [path, setting] of [
      ['listen.tls.key', `listen: { tls: { cert: /dev/null, key: "${pem}" } }`],
      ['listen.client_certificates.ca', `listen: { client_certificates: { port: 3001, ca: "${pem}" } }`],
      ['outgoing.ca', `outgoing: { ca: "${pem}" }`],
      ['branding.name', `branding: { name: "${pem}" }`],
    ] as const) {
      const found = problemsOf(text(setting), { folder }).join('\n');
      assert.match(found, new RegExp(path.replaceAll('.', '\\.')));
      assert.doesNotMatch(found, /Hunter2/);
    }
  });

  it('A secret file that everybody on the machine can read causes a warning', () => {
    write('web', SECRET, 0o644);
    const { config, warnings } = parse(web('{ file: web }'), { folder });
    assert.equal(config.clients[0]?.secret?.reveal(), SECRET);
    assert.equal(
      describeProblems('f', warnings).trim(),
      'f:7  clients[0].secret: client "web": every user of this machine may read web; run chmod 600 on it',
    );
  });

  it('The master key is refused as a secret', () => {
    mkdirSync(join(folder, 'keys'), { recursive: true });
    write('keys/master.key', 'k3F9s0QzP1x7Yt5Vb2Lm8Nc4Rd6Wg0HjAeUiOoSaTzE', 0o600);
    assert.deepEqual(problemsOf(web('{ file: keys/master.key }'), { folder }), [
      '7 clients[0].secret: client "web": is the master key of this server; create a separate secret: latchkey secret new --file FILE',
    ]);
    rmSync(join(folder, 'keys'), { recursive: true });
  });

  it('A store URL with a password is accepted only from the environment', () => {
    const text = 'issuer: https://a.example\nstores:\n  records: redis://:hunter2@redis:6379';
    const { message } = refusal(() => parse(text));
    assert.match(message, /yaml:3 .*give the whole URL in LATCHKEY_RECORDS_STORE/);
    assert.ok(!message.includes('hunter2'));
  });
});
