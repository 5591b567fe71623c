import assert from 'node:assert/strict';
import { demoApps, demoConfig } from '../../src/config/demo.ts';
import { refusal } from './problems-of.ts';

function refused(environment: NodeJS.ProcessEnv): string[] {
  return refusal(() => demoConfig({ environment })).problems.map(({ path, message }) => `${path}: ${message}`);
}

describe('Demo mode', () => {
  it('Demo mode has the documented clients, API and accounts', () => {
    const { issuer, listen, clients, resources, accounts, stores, keys_dir } = demoConfig();
    assert.deepEqual([issuer, listen.host, listen.port], ['http://localhost:3000', '127.0.0.1', 3000]);
    assert.deepEqual(
      clients.map(({ client_id, type, secret, redirect_uris }) => [client_id, type, secret?.reveal(), redirect_uris]),
      [
        ['demo-notes', 'spa', undefined, ['http://localhost:3001/callback', 'http://localhost:3001/silent']],
        ['demo-photos', 'spa', undefined, ['http://localhost:3002/callback', 'http://localhost:3002/silent']],
        ['demo-web', 'web', 'demo-web-secret', ['http://localhost:3004/callback']],
        ['demo-service', 'machine', 'demo-service-secret', []],
      ],
    );
    assert.deepEqual(
      resources.map(({ identifier, scopes }) => [identifier, scopes]),
      [['http://localhost:3003', { 'notes:read': { description: 'Read your notes', roles: ['user'] } }]],
    );
    assert.deepEqual(
      accounts.map(({ email, password, roles }) => [email, password.reveal(), roles]),
      [
        ['alice@example.com', 'latchkey-demo', ['user']],
        ['admin@example.com', 'latchkey-demo', ['user', 'admin']],
      ],
    );
    assert.deepEqual([stores.grants, keys_dir], ['sqlite:.latchkey/demo/latchkey.db', '.latchkey/demo/keys']);
  });

  it('All demo addresses follow the configured port', () => {
    for (const config of [demoConfig({ port: 4000 }), demoConfig({ environment: { LATCHKEY_PORT: '4000' } })]) {
      assert.deepEqual([config.issuer, config.listen.port], ['http://localhost:4000', 4000]);
      assert.deepEqual(
        demoApps(config).map(({ url }) => url),
        ['http://localhost:4001/', 'http://localhost:4002/'],
      );
      assert.equal(config.clients[2]?.redirect_uris[0], 'http://localhost:4004/callback');
      assert.equal(config.resources[0]?.identifier, 'http://localhost:4003');
    }
  });

  it('All demo addresses follow another loopback issuer', () => {
    const config = demoConfig({
      environment: { LATCHKEY_ISSUER: 'http://127.0.0.1:3000', LATCHKEY_STORE: 'sqlite:x' },
    });
    assert.equal(config.clients[0]?.redirect_uris[0], 'http://127.0.0.1:3001/callback');
    assert.deepEqual([config.issuer, config.stores.grants], ['http://127.0.0.1:3000', 'sqlite:x']);
  });

  const fix = 'demo mode has passwords that everybody knows, so it is for this machine only; create a latchkey.yaml';

  it('Demo mode refuses production and addresses that other machines can reach, with every reason', () => {
    const environment = {
      NODE_ENV: 'production',
      LATCHKEY_ISSUER: 'https://login.example.com',
      LATCHKEY_HOST: '0.0.0.0',
    };
    assert.deepEqual(refused(environment), [
      `NODE_ENV: is production; ${fix}`,
      `LATCHKEY_ISSUER: is not a loopback address; ${fix}`,
      `LATCHKEY_HOST: is not a loopback address; ${fix}`,
    ]);
  });

  for (const host of ['::', '192.168.1.2', 'localhost.example.com', '127.0.0.1.example.com']) {
    it(`Demo mode refuses the host ${host}`, () => {
      assert.deepEqual(refused({ LATCHKEY_HOST: host }), [`LATCHKEY_HOST: is not a loopback address; ${fix}`]);
    });
  }

  it('Demo mode refuses a port that leaves no room for its apps', () => {
    for (const port of ['0', '65532', 'x', '-1', '3000.5']) {
      assert.deepEqual(refused({ LATCHKEY_PORT: port }), [
        'LATCHKEY_PORT: must be a whole number from 1 to 65531, because the demo also uses the four ports after it',
      ]);
    }
  });

  it('A demo mode refusal names the environment variable that is wrong', () => {
    assert.deepEqual(refused({ LATCHKEY_WORKERS: '0', LATCHKEY_LOG_LEVEL: 'inf' }), [
      'LATCHKEY_WORKERS: must be at least 1',
      'LATCHKEY_LOG_LEVEL: must be one of trace, debug, info, warn, error, silent (did you mean info?)',
    ]);
  });
});
