import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createTestIssuer, type TestIssuer } from '../../src/resource-server/testing.ts';
import { installRuntimes, PROGRAMS, serveByEdgeRuntime, serveByWorkerd, type Served } from './runtimes.ts';

const run = promisify(execFile);
const AUDIENCE = 'https://api.example';

/** An API of somebody else in plain JavaScript, and what its test would ask. */
const API = `
  import { once } from 'node:events';
  import { createServer } from 'node:http';
  import { createVerifier, fetchGuard, guard } from 'latchkey-resource-server';
  import { createTestIssuer } from 'latchkey-resource-server/testing';

  const audience = 'https://api.example';
  const { issuer, token, revoke, dpopClient, close } = await createTestIssuer({ audience });
  const verifier = createVerifier({ issuer, audience });
  const mayRead = guard(verifier, { scope: 'notes:read' });
  const server = createServer(async (request, response) => {
    const token = await mayRead(request, response);
    if (token !== undefined) response.end(token.sub);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');

  const statusOf = async (headers) => (await fetch('http://127.0.0.1:' + server.address().port + '/notes', { headers })).status;
  const bearer = (text) => statusOf({ authorization: 'Bearer ' + text });
  const scope = 'notes:read';
  const good = await token({ scope });
  console.log(await bearer('x'), await bearer(good), await bearer(await token()));

  const client = await dpopClient();
  const bound = await token({ scope, cnf: { jkt: client.jkt } });
  const proof = await client.headers(bound, 'GET', audience + '/notes');
  console.log(await statusOf(proof), await statusOf(proof), await bearer(bound));

  const byFetch = fetchGuard(verifier, { scope }, (_request, { sub }) => new Response(sub));
  const request = new Request(audience + '/notes', { headers: { authorization: 'Bearer ' + good } });
  console.log(await (await byFetch(request)).text());

  revoke(good);
  const until = Date.now() + 5000;
  while (Date.now() < until && (await bearer(good)) === 200) await new Promise((resolve) => setTimeout(resolve, 20));
  // The stream of events says so at once; the list alone, in half of ten seconds.
  console.log(await bearer(good));
  verifier.close();
  server.close();
  server.closeAllConnections();
  await close();
`;
const ANSWERS = '401 200 403\n200 401 401\ntest-account\n401\n';

/** A runtime that has nothing of Node. */
interface Edge {
  imports: string;
  /** The line that hands requests to `notes`. */
  serving: string;
  serve: (directory: string, name: string) => Promise<Served>;
}
const WORKERD: Edge = {
  imports: "import { waitUntil } from 'cloudflare:workers';",
  serving: 'export default { fetch: notes };',
  serve: serveByWorkerd,
};
const VERCEL: Edge = {
  imports: '',
  serving: "addEventListener('fetch', (event) => event.respondWith(notes(event.request)));",
  serve: serveByEdgeRuntime,
};

/** The same in strict TypeScript; the last lines must not be right. */
const TYPED = `
  import { createServer } from 'node:http';
  import { accessTokenOf, createVerifier, expressGuard, fetchGuard, guard } from 'latchkey-resource-server';
  import type { AccessToken, Verifier, VerifierOptions } from 'latchkey-resource-server';
  import { createTestIssuer } from 'latchkey-resource-server/testing';

  const options: VerifierOptions = { issuer: 'https://id.example', audience: 'https://api.example', status: { check: 'required' } };
  const verifier: Verifier = createVerifier(options);
  const pass = guard(verifier, { scope: 'notes:read', acr: 'mfa', maxAge: 300 });
  createServer((request, response) => {
    void pass(request, response).then((token: AccessToken | undefined) => response.end(token?.sub));
  });
  export const handler: (request: Request) => Promise<Response> =
    fetchGuard(verifier, {}, (_request, token) => Response.json({ sub: token.sub, roles: token.roles }));
  export const express = expressGuard(verifier);
  export const roles: readonly string[] = accessTokenOf({}).roles;
  await using issuer = await createTestIssuer({ audience: 'https://api.example' });
  export const token: string = await issuer.token({ sub: 'alice', scope: 'notes:read' });
  // @ts-expect-error an audience is required
  createVerifier({ issuer: 'https://id.example' });
  // @ts-expect-error there is no such option
  createVerifier({ ...options, status: { check: 'sometimes' } });
`;

describe('The published kit', function () {
  this.timeout(300_000);
  let project: string;
  let tarball: string;

  before(async () => {
    project = await mkdtemp(join(tmpdir(), 'latchkey-consumer-'));
    await writeFile(join(project, 'package.json'), '{ "type": "module" }');
    const { stdout } = await run('npm', ['run', '--silent', 'pack:kit', '--', project]);
    tarball = stdout.trim();
    await installRuntimes(project);
    await run('npm', ['install', '--silent', '--ignore-scripts', tarball], { cwd: project });
  });
  after(() => rm(project, { recursive: true, force: true }));

  it('The kit’s package is one tarball of less than 300 KB that depends only on jose', async () => {
    assert.ok((await stat(tarball)).size < 300_000);
    const alone = await mkdtemp(join(tmpdir(), 'latchkey-alone-'));
    try {
      await writeFile(join(alone, 'package.json'), '{ "type": "module" }');
      await run('npm', ['install', '--silent', '--ignore-scripts', tarball], { cwd: alone });
      const installed = (await readdir(join(alone, 'node_modules'))).filter((name) => !name.startsWith('.'));
      assert.deepEqual(installed.sort(), ['jose', 'latchkey-resource-server']);
    } finally {
      await rm(alone, { recursive: true, force: true });
    }
  });

  for (const [name, [program = '', ...args]] of Object.entries(PROGRAMS)) {
    it(`The kit protects an API on ${name}, and the process can end`, async () => {
      await writeFile(join(project, 'api.js'), API);
      const path = program.startsWith('/') ? program : join(project, program);
      const { stdout, stderr } = await run(path, [...args, 'api.js'], { cwd: project, timeout: 60_000 });
      assert.deepEqual([stdout, stderr], [ANSWERS, '']);
    });
  }

  /** Serves an API on an edge runtime, and tells what it answers to headers and to a bearer token. */
  async function onEdge(
    issuer: TestIssuer,
    { options, ...edge }: Edge & { options: string },
    use: (statusOf: (headers: HeadersInit) => Promise<number>) => Promise<void>,
  ): Promise<void> {
    const api = `
      ${edge.imports}
      import { createVerifier, fetchGuard } from 'latchkey-resource-server';
      const verifier = createVerifier({ issuer: '${issuer.issuer}', audience: '${AUDIENCE}', ${options} });
      const notes = fetchGuard(verifier, { scope: 'notes:read' }, (_request, token) => new Response(token.sub));
      ${edge.serving}
    `;
    await writeFile(join(project, 'edge.js'), api);
    const served = await edge.serve(project, 'edge');
    const statusOf = async (headers: HeadersInit): Promise<number> => {
      const response = await fetch(`${served.url}/notes`, { headers });
      await response.body?.cancel();
      return response.status;
    };
    await use(statusOf).finally(() => served.close());
  }

  /** Bearer tokens good and bad, and a token bound to a key with a proof that is sent twice. */
  async function checkTokens(issuer: TestIssuer, statusOf: (headers: HeadersInit) => Promise<number>): Promise<void> {
    const bearer = (token: string): Promise<number> => statusOf({ authorization: `Bearer ${token}` });
    const good = await issuer.token({ scope: 'notes:read' });
    const answers = await Promise.all([bearer('x'), bearer(good), bearer(await issuer.token()), bearer(good)]);
    assert.deepEqual(answers, [401, 200, 403, 200]);
    const client = await issuer.dpopClient();
    const bound = await issuer.token({ scope: 'notes:read', cnf: { jkt: client.jkt } });
    const { authorization, dpop } = await client.headers(bound, 'GET', `${AUDIENCE}/notes`);
    assert.equal(await statusOf({ authorization, dpop }), 200);
    assert.deepEqual([await statusOf({ authorization, dpop }), await bearer(bound)], [401, 401]);
  }

  it('The kit protects an API on workerd (Cloudflare Workers), and refuses a token that the list revokes', async () => {
    await using issuer = await createTestIssuer({ audience: AUDIENCE });
    await onEdge(issuer, { ...WORKERD, options: 'waitUntil' }, async (statusOf) => {
      await checkTokens(issuer, statusOf);
      const [revoked, other] = [
        await issuer.token({ scope: 'notes:read' }),
        await issuer.token({ scope: 'notes:read' }),
      ];
      const bearer = (token: string): Promise<number> => statusOf({ authorization: `Bearer ${token}` });
      assert.equal(await bearer(revoked), 200);
      issuer.revoke(revoked);
      // The list is fetched again after half of its ten seconds; a busy machine takes longer.
      for (let look = 0; look < 300 && (await bearer(revoked)) === 200; look += 1) await sleep(100);
      assert.deepEqual([await bearer(revoked), await bearer(other)], [401, 200]);
    });
  });

  it('The kit protects an API on Vercel’s edge runtime, but cannot read status lists there', async () => {
    await using issuer = await createTestIssuer({ audience: AUDIENCE });
    await onEdge(issuer, { ...VERCEL, options: "status: { check: 'off' }" }, (statusOf) =>
      checkTokens(issuer, statusOf),
    );
    const authorization = `Bearer ${await issuer.token({ scope: 'notes:read' })}`;
    await onEdge(issuer, { ...VERCEL, options: '' }, async (statusOf) => {
      assert.equal(await statusOf({ authorization }), 503);
    });
  });

  it('The kit’s types are complete and pass strict checks', async () => {
    for (const name of ['@types/node', 'undici-types']) {
      await mkdir(join(project, 'node_modules/@types'), { recursive: true });
      await symlink(resolve('node_modules', name), join(project, 'node_modules', name));
    }
    await writeFile(join(project, 'api.ts'), TYPED);
    const compilerOptions = {
      ...{ strict: true, skipLibCheck: false, noEmit: true, exactOptionalPropertyTypes: true },
      ...{ module: 'nodenext', target: 'es2024', lib: ['es2024'], types: ['node'] },
    };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['api.ts'] }));
    const tsc = resolve('node_modules/typescript/bin/tsc');
    const complaints = await run(process.execPath, [tsc], { cwd: project }).then(
      ({ stdout }) => stdout,
      (error: unknown) => (error instanceof Error && 'stdout' in error ? error.stdout : error),
    );
    assert.equal(complaints, '');
  });
});
