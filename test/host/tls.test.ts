import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, get } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import type { Config } from '../../src/config/schema.ts';
import { pino } from 'pino';
import { CertificateFiles } from '../../src/host/certificate-files.ts';
import { certificateFor, selfSignedCertificate } from '../support/certificate.ts';
import { authorizationRequest } from '../support/flows.ts';
import { sendRaw } from '../support/raw-http.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

describe('The TLS listener', () => {
  const { cert, key } = selfSignedCertificate();
  const agent = new Agent({ ca: cert, keepAlive: false });
  let directory: string;
  let server: TestServer;

  const withTls =
    (certFile: string) =>
    (config: Config): Config => ({
      ...config,
      issuer: config.issuer.replace('http:', 'https:'),
      listen: { ...config.listen, tls: { cert: join(directory, certFile), key: join(directory, 'key.pem') } },
    });

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'latchkey-tls-'));
    await writeFile(join(directory, 'cert.pem'), cert);
    await writeFile(join(directory, 'key.pem'), key);
    server = await startTestServer({ change: withTls('cert.pem') });
  });
  after(async () => {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });

  async function ask(path: string): Promise<IncomingMessage & { body: string }> {
    const request = get(new URL(path, server.issuer), { agent, headers: { accept: 'text/html' } });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return Object.assign(response, { body: await text(response) });
  }

  it('The server speaks https itself and publishes https URLs', async () => {
    const { statusCode, body } = await ask('/.well-known/openid-configuration');
    assert.equal(statusCode, 200);
    const discovery = JSON.parse(body) as Record<string, string>;
    assert.equal(discovery['issuer'], server.issuer);
    assert.equal(discovery['token_endpoint'], `${server.issuer}/token`);
  });

  it('The stopping server does not wait for a connection without a handshake', async () => {
    await using other = await startTestServer({ change: withTls('cert.pem') });
    const silent = connectTcp(other.port, '127.0.0.1').on('error', () => undefined);
    await once(silent, 'connect');
    const closed = once(silent, 'close', { signal: AbortSignal.timeout(20_000) });
    const stopped = other.close();
    await closed;
    await stopped;
  }).timeout(30_000);

  it('The cookies of an https server are secure and belong to this host only', async () => {
    const query = new URL(authorizationRequest(server.issuer).url).search;
    const { statusCode, headers } = await ask(`/authorize${query}`);
    assert.equal(statusCode, 303);
    const cookies = headers['set-cookie'] ?? [];
    assert.ok(cookies.length > 0);
    for (const cookie of cookies) assert.match(cookie, /^__(Host|Secure)-.*; secure/i);
    assert.equal(headers['strict-transport-security'], 'max-age=31536000');
  });

  it('The server answers nothing over plain http', async () => {
    const { status } = await sendRaw(server.port, `GET / HTTP/1.1\r\nHost: ${new URL(server.issuer).host}\r\n\r\n`);
    assert.equal(status, 0);
  });

  describe('A renewed certificate', () => {
    let renewing: TestServer;
    beforeEach(async () => {
      await writeFile(join(directory, 'renewed.pem'), cert);
      await writeFile(join(directory, 'key.pem'), key);
      renewing = await startTestServer({ change: withTls('renewed.pem') });
    });
    afterEach(() => renewing.close());

    async function shown(): Promise<string> {
      const socket = connect({ port: renewing.port, host: '127.0.0.1', rejectUnauthorized: false });
      try {
        await once(socket, 'secureConnect');
        return String(socket.getPeerCertificate().subject.CN);
      } finally {
        socket.destroy();
      }
    }

    async function renew(name: string): Promise<void> {
      const renewed = certificateFor({ name: [['CN', name]], dns: 'localhost' });
      await writeFile(join(directory, 'renewed.pem'), renewed.cert);
      await writeFile(join(directory, 'key.pem'), renewed.key);
    }

    it('The server presents the new certificate to new connections and keeps the old connections open', async () => {
      const old = connect({ port: renewing.port, host: '127.0.0.1', rejectUnauthorized: false });
      await once(old, 'secureConnect');
      await renew('renewed');
      await until(async () => (await shown()) === 'renewed');
      old.write(`GET /healthz HTTP/1.1\r\nHost: ${new URL(renewing.issuer).host}\r\n\r\n`);
      const [answer] = (await once(old, 'data')) as [Buffer];
      assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
      old.destroy();
    });

    const faults: Record<string, () => Promise<void>> = {
      'is not a PEM file': () => writeFile(join(directory, 'renewed.pem'), 'no certificate'),
      'is half written': () => writeFile(join(directory, 'renewed.pem'), cert.slice(0, 100)),
      'belongs to another key': () => writeFile(join(directory, 'renewed.pem'), selfSignedCertificate().cert),
      'is missing': () => rm(join(directory, 'renewed.pem')),
    };
    for (const [fault, spoil] of Object.entries(faults)) {
      it(`The server keeps the old certificate while the new one ${fault}, and loads the next valid one`, async () => {
        await spoil();
        renewing.reload();
        assert.equal(await shown(), 'localhost');
        await renew('good');
        renewing.reload();
        assert.equal(await shown(), 'good');
      });
    }
  });

  it('The log names the files of a certificate that cannot be used', async () => {
    const lines: string[] = [];
    const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
    const files = new CertificateFiles({ cert: join(directory, 'absent.pem'), key: join(directory, 'key.pem') }, log);
    files.reload();
    const [line] = lines.map((text) => JSON.parse(text) as Record<string, unknown>);
    assert.equal(line?.['level'], 50);
    assert.match(String(line['cert']), /absent\.pem$/);
  });

  /** The suite that a handshake ends with, which has `offered` alone where it is of TLS 1.2; undefined where it fails. */
  async function agreed(port: number, offered: string, maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<string | undefined> {
    const options = { port, host: '127.0.0.1', rejectUnauthorized: false, ciphers: offered, maxVersion };
    const socket = connect(options);
    try {
      await once(socket, 'secureConnect');
      return socket.getCipher().name;
    } catch {
      return undefined;
    } finally {
      socket.destroy();
    }
  }

  it('A FAPI 2.0 server accepts only the FAPI cipher suites, even after a certificate renewal', async () => {
    await using fapi = await startTestServer({
      change: (config) => ({
        ...withTls('cert.pem')(config),
        profile: 'fapi2-security',
        keys: { ...config.keys, algorithms: ['ES256'] },
        clients: [],
      }),
    });
    const [gcm, chacha, cbc] = ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-ECDSA-AES128-SHA'] as const; // prettier-ignore
    for (const renew of [false, true]) {
      if (renew) fapi.reload();
      assert.equal(await agreed(fapi.port, gcm, 'TLSv1.2'), gcm);
      assert.equal(await agreed(fapi.port, chacha, 'TLSv1.2'), undefined);
      assert.equal(await agreed(fapi.port, cbc, 'TLSv1.2'), undefined);
      assert.equal(await agreed(fapi.port, 'TLS_AES_128_GCM_SHA256', 'TLSv1.3'), 'TLS_AES_128_GCM_SHA256');
    }
    assert.equal(await agreed(server.port, chacha, 'TLSv1.2'), chacha);
    assert.equal(await agreed(server.port, cbc, 'TLSv1.2'), cbc);
  });

  it('The server accepts only the cipher suites that the operator lists', async () => {
    const [listed, other] = ['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-AES128-GCM-SHA256'] as const;
    const change = (config: Config): Config => {
      const { listen, ...rest } = withTls('cert.pem')(config);
      return { ...rest, listen: { ...listen, ...(listen.tls && { tls: { ...listen.tls, ciphers: [listed] } }) } };
    };
    await using own = await startTestServer({ change });
    assert.equal(await agreed(own.port, listed, 'TLSv1.2'), listed);
    assert.equal(await agreed(own.port, other, 'TLSv1.2'), undefined);
  });

  it('The server does not start without its certificate', async () => {
    await assert.rejects(startTestServer({ change: withTls('gone.pem') }), { code: 'ENOENT' });
  });
});
