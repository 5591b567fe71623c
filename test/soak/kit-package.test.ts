import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** An API of somebody else in plain JavaScript, and what its test would ask. */
const API = `
  import { once } from 'node:events';
  import { createServer } from 'node:http';
  import { createVerifier, guard } from 'latchkey/resource-server';
  import { createTestIssuer } from 'latchkey/resource-server/testing';

  const audience = 'https://api.example';
  const { issuer, token, revoke, close } = await createTestIssuer({ audience });
  const verifier = createVerifier({ issuer, audience });
  const mayRead = guard(verifier, { scope: 'notes:read' });
  const server = createServer(async (request, response) => {
    const token = await mayRead(request, response);
    if (token !== undefined) response.end(token.sub);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');

  const statusOf = async (text) => {
    const headers = { authorization: 'Bearer ' + text };
    return (await fetch('http://127.0.0.1:' + server.address().port, { headers })).status;
  };
  const revoked = await token({ scope: 'notes:read' });
  revoke(revoked);
  const good = await token({ scope: 'notes:read' });
  console.log(await statusOf('x'), await statusOf(good), await statusOf(await token()), await statusOf(revoked));
  verifier.close();
  server.close();
  await close();
`;

/** The same in strict TypeScript; the last lines must not be right. */
const TYPED = `
  import { createServer } from 'node:http';
  import { accessTokenOf, createVerifier, expressGuard, fetchGuard, guard } from 'latchkey/resource-server';
  import type { AccessToken, Verifier, VerifierOptions } from 'latchkey/resource-server';
  import { createTestIssuer } from 'latchkey/resource-server/testing';

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

describe('the kit as it is published', function () {
  this.timeout(60_000);
  let project: string;

  before(async () => {
    project = await mkdtemp(join(tmpdir(), 'latchkey-consumer-'));
    // By hand, since npm runs no scripts of its own here.
    await run('npm', ['run', '--silent', 'build:kit']);
    const { stdout } = await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', project]);
    const installed = join(project, 'node_modules/latchkey');
    await mkdir(installed, { recursive: true });
    await run('tar', ['-xzf', join(project, stdout.trim()), '--strip-components=1', '-C', installed]);
    // All that it needs, and what its types need.
    for (const name of ['jose', '@types', 'undici-types']) {
      await symlink(resolve('node_modules', name), join(project, 'node_modules', name));
    }
    await writeFile(join(project, 'package.json'), '{ "type": "module" }');
  });
  after(() => rm(project, { recursive: true, force: true }));

  it('protects an API in plain JavaScript, with jose alone beside it', async () => {
    await writeFile(join(project, 'api.js'), API);
    const { stdout, stderr } = await run(process.execPath, ['api.js'], { cwd: project });
    assert.deepEqual([stdout, stderr], ['401 200 403 401\n', '']);
  });

  it('has types that are whole and strict', async () => {
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
