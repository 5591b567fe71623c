import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { OutgoingRefused, outgoingFetch } from '../../src/outgoing/outgoing-fetch.ts';
import { selfSignedCertificate } from '../support/certificate.ts';

/** Public by its number, but nobody has been given it: a call to it reaches no one. */
const NOWHERE = '2d00::1';

/** What the name of each of these says that its address is, as the services that answer like that do. */
const resolveByName = async (hostname: string): Promise<string[]> => {
  const [, dotted] = /^(?:[a-z]+\.)?([\d.]+|[\da-f-]+)\.nip\.example\.?$/.exec(hostname) ?? [];
  return dotted === undefined ? ['127.0.0.1', '::1'] : [dotted.includes('.') ? dotted : dotted.replaceAll('-', ':')];
};

/** Ways to write this machine, its networks, or what leads there. */
const SPELLINGS = [
  ...['127.0.0.1', '127.0.0.1.', '127.1', '127.0.1', '2130706433', '0x7f000001', '0x7f.0.0.1', '0177.0.0.1'],
  ...['0x7f.1', '017700000001', '127.0x0.0.01', '0', '0.0.0.0', '0x0', '127.127.127.127', '%31%32%37.0.0.1'],
  ...[
    '１２７.０.０.１',
    '127。0。0。1',
    '①②⑦.0.0.1',
    '10.1.2.3',
    '192.168.0.1',
    '172.16.5.4',
    '3232235521',
    '0xa9fea9fe',
  ],
  ...['169.254.169.254', '100.64.0.1', '255.255.255.255', '224.0.0.251', '[::1]', '[::]', '[0:0:0:0:0:0:0:1]'],
  ...['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:ffff:7f00:0001]', '[::127.0.0.1]', '[fe80::1]', '[fd00::1]'],
  ...['[64:ff9b::127.0.0.1]', '[64:ff9b::a9fe:a9fe]', '[2002:7f00:1::]', '[2001:0:7f00:1::]', '[ff02::1]'],
  ...['localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'ｌｏｃａｌｈｏｓｔ', 'localhost.localdomain', 'redis'],
  ...['127.0.0.1.nip.example', 'app.10.0.0.1.nip.example', '--1.nip.example', '169.254.169.254.nip.example.'],
  ...['metadata.google.internal', 'printer.local'],
];

describe('Outgoing requests', () => {
  let server: Server;
  let host: string;
  let answer: RequestListener;
  let connections: number;
  beforeEach(async () => {
    connections = 0;
    server = createServer((request, response) => {
      answer(request, response);
    }).listen(0, '127.0.0.1');
    server.on('connection', () => (connections += 1));
    await once(server, 'listening');
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const portOf = (): string => new URL(`http://${host}`).port;
  const refused = (reason: RegExp) => (error: unknown) => {
    assert.ok(error instanceof OutgoingRefused, String(error));
    assert.match(error.message, reason);
    return true;
  };

  describe('Requests to hosts that the operator has not listed', () => {
    for (const spelling of SPELLINGS) {
      it(`The outgoing guard refuses a request to ${spelling}`, async () => {
        const fetch = outgoingFetch({ allow: ['other.example', '127.0.0.2'], resolve: resolveByName });
        await assert.rejects(fetch(`https://${spelling}:${portOf()}/`), refused(/not public/));
        assert.equal(connections, 0);
      });
    }

    it('The outgoing guard asks the real DNS by default, and refuses localhost', async () => {
      const fetch = outgoingFetch({ allow: [] });
      await assert.rejects(fetch(`https://localhost:${portOf()}/`), refused(/localhost has no address, or one that/));
      assert.equal(connections, 0);
    });

    it('The outgoing guard refuses every scheme but https', async () => {
      const fetch = outgoingFetch({ allow: [], resolve: resolveByName });
      for (const url of [
        'http://example.com/',
        'http://1.1.1.1/',
        'ftp://example.com/',
        'file:///etc/passwd',
        'data:,x',
      ])
        await assert.rejects(fetch(url), refused(/is not https/), url);
    });

    it('The outgoing guard refuses a name if one of its addresses is private', async () => {
      const fetch = outgoingFetch({ allow: [], resolve: async () => [NOWHERE, '127.0.0.1'] });
      await assert.rejects(fetch(`https://mixed.example:${portOf()}/`), refused(/not public/));
      assert.equal(connections, 0);
    });

    it('The outgoing guard connects to the address that it checked, even if the name has another a moment later', async () => {
      const answers = [[NOWHERE], ['127.0.0.1']];
      let asked = 0;
      const resolve = async (): Promise<string[]> => answers[asked++] ?? ['127.0.0.1'];
      const fetch = outgoingFetch({ allow: [], resolve, timeout: 500 });
      await assert.rejects(
        fetch(`https://rebind.example:${portOf()}/`),
        (error) => !(error instanceof OutgoingRefused),
      );
      assert.deepEqual([asked, connections], [1, 0]);
      await assert.rejects(fetch(`https://rebind.example:${portOf()}/`), refused(/not public/));
      assert.deepEqual([asked, connections], [2, 0]);
    });

    it('The outgoing guard does not wait for a name server that never answers', async () => {
      const never = new Promise<string[]>(() => undefined);
      const fetch = outgoingFetch({ allow: [], resolve: () => never, timeout: 100 });
      await assert.rejects(fetch('https://slow.example/'), { name: 'TimeoutError' });
    });

    it('The outgoing guard refuses a URL with credentials', async () => {
      await assert.rejects(outgoingFetch({ allow: [host] })(`http://user:password@${host}/`), TypeError);
      assert.equal(connections, 0);
    });
  });

  describe('Requests to hosts that the operator has listed', () => {
    const listed = (options: { maxBytes?: number; timeout?: number } = {}): typeof fetch =>
      outgoingFetch({ allow: [host], ...options });

    it('The outgoing guard sends the method, headers and body, and returns the response', async () => {
      let received: IncomingMessage | undefined;
      let body = '';
      answer = (request, response) => {
        received = request;
        void text(request).then((sent) => {
          body = sent;
          response.writeHead(201, { 'content-type': 'text/plain', 'x-many': ['a', 'b'] }).end('done');
        });
      };
      const response = await listed()(`http://${host}/path?query=1`, {
        method: 'POST',
        headers: { 'x-own': 'yes' },
        body: new URLSearchParams({ key: 'a value' }),
      });
      assert.deepEqual([response.status, await response.text()], [201, 'done']);
      assert.deepEqual([response.headers.get('content-type'), response.headers.get('x-many')], ['text/plain', 'a, b']);
      assert.deepEqual([received?.method, received?.url, body], ['POST', '/path?query=1', 'key=a+value']);
      assert.match(received?.headers['content-type'] ?? '', /^application\/x-www-form-urlencoded/);
      assert.deepEqual([received?.headers['x-own'], received?.headers['accept-encoding']], ['yes', 'identity']);
    });

    it('An outgoing host that is listed without a port allows every port, and one with a port allows only that', async () => {
      answer = (_request, response) => response.end('here');
      assert.equal(
        await (await outgoingFetch({ allow: ['LOCALHOST'] })(`http://localhost:${portOf()}/`)).text(),
        'here',
      );
      const elsewhere = outgoingFetch({ allow: ['127.0.0.1:1', 'localhost:80'] });
      await assert.rejects(elsewhere(`https://127.0.0.1:${portOf()}/`), refused(/not public/));
      await assert.rejects(elsewhere(`http://localhost:${portOf()}/`), refused(/not https/));
      assert.equal(connections, 1);
    });

    it('The outgoing guard accepts a certificate of the operator’s authority only for listed hosts', async () => {
      const { cert, key } = selfSignedCertificate();
      const directory = await mkdtemp(join(tmpdir(), 'latchkey-authority-'));
      const secure = createTlsServer({ cert, key }, (_request, response) => response.end('here')).listen(
        0,
        '127.0.0.1',
      );
      try {
        await once(secure, 'listening');
        const url = `https://localhost:${(secure.address() as AddressInfo).port}/`;
        const [ca, empty] = [join(directory, 'ca.pem'), join(directory, 'empty.pem')];
        await writeFile(ca, `The authority:\n${cert}`);
        await writeFile(empty, 'no certificate');
        assert.equal(await (await outgoingFetch({ allow: ['localhost'], ca })(url)).text(), 'here');
        await assert.rejects(outgoingFetch({ allow: ['localhost'] })(url), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
        const other = outgoingFetch({ allow: [], ca, resolve: async () => ['127.0.0.1'] });
        await assert.rejects(other(url), refused(/not public/));
        assert.throws(
          () => outgoingFetch({ allow: [], ca: empty }),
          /outgoing\.ca: .*empty\.pem must hold certificates/,
        );
      } finally {
        secure.close();
        await rm(directory, { recursive: true, force: true });
      }
    });

    it('The outgoing guard follows no redirect, neither to a private address nor to the same host', async () => {
      let calls = 0;
      for (const location of ['http://127.0.0.2:1/', 'https://169.254.169.254/', `http://${host}/again`]) {
        answer = (_request, response) => {
          calls += 1;
          response.writeHead(302, { location }).end();
        };
        await assert.rejects(
          listed()(`http://${host}/`, { redirect: 'follow' }),
          refused(/302, and redirects are not/),
        );
      }
      assert.equal(calls, 3);
    });

    it('An outgoing request fails if the body arrives too slowly', async () => {
      let drip: NodeJS.Timeout | undefined;
      answer = (_request, response) => {
        response.writeHead(200).write(' ');
        drip = setInterval(() => response.write(' '), 20);
      };
      await assert.rejects(listed({ timeout: 200 })(`http://${host}/`), { name: 'TimeoutError' });
      clearInterval(drip);
    });

    it('An outgoing request fails if no response comes in time, or if the caller cancels it', async () => {
      answer = () => undefined;
      await assert.rejects(listed({ timeout: 100 })(`http://${host}/`), { name: 'TimeoutError' });
      await assert.rejects(listed()(`http://${host}/`, { signal: AbortSignal.timeout(100) }), { name: 'TimeoutError' });
    });

    it('The outgoing guard accepts a body up to the limit, with and without a Content-Length', async () => {
      let length = 1000;
      let announced = true;
      answer = (_request, response) => {
        if (announced) response.setHeader('content-length', length);
        response.writeHead(200);
        response.write('x'.repeat(length - 1));
        response.end('x');
      };
      const limited = listed({ maxBytes: 1000 });
      for (announced of [true, false]) {
        length = 1000;
        assert.equal((await (await limited(`http://${host}/`)).text()).length, 1000);
        length = 1001;
        await assert.rejects(limited(`http://${host}/`), refused(/more than \d+ bytes/));
      }
    });

    it('The outgoing guard stops reading an endless body', async () => {
      let written = 0;
      answer = (_request, response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536))) written += 65_536;
        };
        response.on('drain', more);
        more();
      };
      await assert.rejects(listed()(`http://${host}/`), refused(/more than \d+ bytes/));
      assert.ok(written < 20_000_000, `${written} bytes`);
    });

    it('The outgoing guard refuses a compressed response', async () => {
      answer = (_request, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(10_000_000)));
      };
      await assert.rejects(listed()(`http://${host}/`), refused(/compressed/));
    });

    it('The outgoing guard refuses endless headers', async () => {
      answer = (_request, response) => {
        response.writeHead(200, { 'x-long': 'x'.repeat(100_000) }).end();
      };
      await assert.rejects(listed()(`http://${host}/`), { code: 'HPE_HEADER_OVERFLOW' });
    });

    it('The outgoing guard ignores proxies in the environment', async () => {
      answer = (request, response) => response.end(request.url);
      const module = new URL('../../src/outgoing/outgoing-fetch.ts', import.meta.url).href;
      const script = `import { outgoingFetch } from ${JSON.stringify(module)};
        const response = await outgoingFetch({ allow: [${JSON.stringify(host)}] })('http://${host}/direct');
        process.stdout.write(await response.text());`;
      const proxy = 'http://127.0.0.1:1';
      const env = { ...process.env, NODE_USE_ENV_PROXY: '1', HTTP_PROXY: proxy, http_proxy: proxy, ALL_PROXY: proxy };
      const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env });
      assert.equal(stdout, '/direct');
    });
  });
});
