import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa, { type Context, type Middleware } from 'koa';
import { admission } from '../../src/host/admission.ts';
import { admitRequests, numberRequests } from '../../src/host/middleware.ts';
import { calledHost, clientAddress, clientCertificate, requestId, requestStart } from '../../src/http/request-facts.ts';
import { systemRandom } from '../../src/lib/random.ts';

const NOW = 1_700_000_000_000;
const numbering = numberRequests(systemRandom, { now: () => NOW });
const admissions = admission({ issuer: 'https://id.example', aliases: ['alias.example'], trustedProxies: [] });
const admitting = admitRequests((request) => admissions.admitted(request));

/** Serves one request over HTTP, and returns what the function reads after this middleware. */
async function read<Fact>(middleware: readonly Middleware[], fact: (context: Context) => Fact): Promise<Fact> {
  const app = new Koa();
  app.silent = true;
  for (const one of middleware) app.use(one);
  const found = new Promise<Fact>((resolve, reject) => {
    app.use((context) => {
      context.status = 204;
      resolve(fact(context));
    });
    app.on('error', reject);
  });
  const handle = app.callback();
  const server = createServer((request, response) => {
    request.headers.host = 'alias.example';
    admissions.admit(request);
    void handle(request, response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  try {
    const signal = AbortSignal.timeout(60_000);
    const [fact] = await Promise.all([
      found,
      fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { signal }),
    ]);
    return fact;
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

describe('Request facts', () => {
  const readers = [
    { name: 'number', reader: requestId, by: 'numberRequests', without: [admitting] },
    { name: 'start', reader: requestStart, by: 'numberRequests', without: [admitting] },
    { name: 'client address', reader: clientAddress, by: 'admitRequests', without: [numbering] },
    { name: 'called host', reader: calledHost, by: 'admitRequests', without: [numbering] },
    { name: 'client certificate', reader: clientCertificate, by: 'admitRequests', without: [numbering] },
  ];
  for (const { name, reader, by, without } of readers)
    it(`Reading the ${name} throws an error that names ${by} if ${by} has not run`, async () => {
      await assert.rejects(read<unknown>(without, reader), {
        message: `${by} must run before a fact of this request is read`,
      });
    });

  it('Every fact can be read after both middleware have run', async () => {
    const facts = await read([numbering, admitting], (context) => ({
      id: requestId(context),
      start: requestStart(context),
      address: clientAddress(context),
      host: calledHost(context),
      certificate: clientCertificate(context),
    }));
    assert.match(facts.id, /^[\w-]{8}-1$|^[\w-]{8}-\w+$/);
    assert.deepEqual(
      { ...facts, id: '' },
      { id: '', start: NOW, address: '127.0.0.1', host: 'alias.example', certificate: undefined },
    );
  });
});
