import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Browser } from '../support/browser.ts';
import { signIn } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

const run = promisify(execFile);

describe('oidc-agent', function () {
  this.timeout(60_000);
  let server: TestServer;
  let directory: string;
  let environment: NodeJS.ProcessEnv;
  let agent: number;
  let redirectUri: string;

  before(async () => {
    redirectUri = `http://localhost:${await freePort()}`;
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.map((client) =>
          client.client_id === 'demo-web'
            ? {
                ...client,
                redirect_uris: [redirectUri],
                scopes: ['openid', 'profile', 'offline_access', 'notes:read'],
                resources: config.resources.map(({ identifier }) => identifier),
                default_resource: config.resources[0]?.identifier,
              }
            : client,
        ),
      }),
    });
    directory = await mkdtemp(join(tmpdir(), 'latchkey-agent-'));
    environment = { ...process.env, HOME: directory, OIDC_CONFIG_DIR: directory, OIDC_ENCRYPTION_PW: 'of this test' };
    const { stdout } = await run('oidc-agent', ['--no-autoload', '--json'], { env: environment });
    const started = JSON.parse(stdout) as { socket: string; dpid: string };
    environment['OIDC_SOCK'] = started.socket;
    agent = Number(started.dpid);
  });
  after(async () => {
    process.kill(agent);
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });

  const token = async (...options: string[]): Promise<string> => {
    const { stdout } = await run('oidc-token', [...options, 'here'], { env: environment });
    return stdout.trim();
  };

  it('oidc-agent signs a person in with a browser, and refreshes its tokens', async () => {
    const options = {
      issuer: server.issuer,
      'client-id': 'demo-web',
      'client-secret': 'demo-web-secret',
      'redirect-uri': redirectUri,
      scope: 'openid profile offline_access notes:read',
      flow: 'code',
    };
    const settings = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    const generate = spawn('oidc-gen', ['here', ...settings, '--manual', '--no-url-call', '--pw-env'], {
      env: environment,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(generate, 'exit');
    const url = await printedUrl(generate.stderr);
    const browser = new Browser();
    const callback = await signIn(browser, { url, redirectUri, verifier: '', clientId: 'demo-web' });
    await browser.visit(callback.href);
    assert.deepEqual(await ended, [0, null]);

    const first = await verified(server.issuer, await token(), apiOf(server.issuer));
    assert.equal(first.claims['scope'], 'notes:read');
    // It asks for a new one where the one that it has is not good for as long.
    const [second, third] = [await token('--time=100000'), await token('--time=100000')];
    assert.notEqual(second, third);
    await verified(server.issuer, third, apiOf(server.issuer));
  });
});

/** The URL that the program asks the person to open. */
function printedUrl(output: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    output.on('data', (chunk) => {
      text += String(chunk);
      const url = /(http:\/\/\S+\/authorize\?\S+)\s/.exec(text)?.[1];
      if (url !== undefined) resolve(url);
    });
    output.on('end', () => reject(new Error(`no URL to open in: ${text}`)));
  });
}
