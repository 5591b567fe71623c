import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/loading/load.ts';
import { possibleBits } from '../../src/config/loading/secret-strength.ts';
import { startServer } from '../../src/server.ts';
import { command, type Said } from '../support/command.ts';
import { WorkingDirectory } from './latchkey.ts';

describe('The command latchkey init', () => {
  let directory: WorkingDirectory;
  let file: string;
  beforeEach(() => {
    directory = new WorkingDirectory();
    file = join(directory.path, 'latchkey.yaml');
  });
  afterEach(() => directory.remove());

  const init = (line = '', said: Said = {}) =>
    command(['init', '--config', file, ...line.split(' ').filter(Boolean)], said);
  const read = () => loadConfig({ file, environment: {} });

  it('The configuration that "latchkey init" writes passes check-config, and a server starts with it', async () => {
    const { code, out, err } = await init('--yes');
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^wrote .*latchkey\.yaml\n\nNext:\n {2}latchkey start --config /);
    assert.match(out, /issuer \(authority\) {2}http:\/\/localhost:3000\n {2}client_id {11}my-app\n/);
    const { config, warnings } = read();
    assert.deepEqual(warnings, []);
    assert.deepEqual(
      [config.issuer, config.listen.port, config.clients[0]?.client_id],
      ['http://localhost:3000', 3000, 'my-app'],
    );
    const server = await startServer({
      config: { ...config, listen: { ...config.listen, port: 0 }, log: { level: 'silent', format: 'json' } },
    });
    await server.close();
    assert.ok(existsSync(join(directory.path, '.latchkey/latchkey.db')));
    assert.equal((await command(['check-config', '--config', file])).code, 0);
  });

  it('"latchkey init" asks for what the options do not give, and repeats a question after an invalid answer', async () => {
    const answers = [
      'login',
      'https://login.example.com/',
      '"Notes" & co',
      '',
      'https://notes.example.com',
      'https://api.example.com',
    ];
    const { code, out, err, asked } = await init('', { answers });
    assert.equal(code, 0, err);
    assert.equal(asked.length, 6);
    assert.match(err, /"login" must be an absolute https URL/);
    const { config } = read();
    const [client] = config.clients;
    assert.deepEqual(
      [config.issuer, client?.client_name, client?.type],
      ['https://login.example.com', '"Notes" & co', 'spa'],
    );
    assert.deepEqual(client?.redirect_uris, ['https://notes.example.com/callback']);
    assert.deepEqual(client.scopes, ['openid', 'profile', 'email', 'notes-co:read']);
    assert.deepEqual(client.resources, ['https://api.example.com']);
    assert.match(out, /resource {12}https:\/\/api\.example\.com/);
  });

  it('"latchkey init" uses the port and the issuer of the environment, and warns about a different port', async () => {
    const environment = { LATCHKEY_PORT: '4000' };
    const { code, err } = await init('--yes', { environment });
    assert.deepEqual([code, err], [0, '']);
    const { config, warnings } = loadConfig({ file, environment });
    assert.deepEqual([config.issuer, config.listen.port, warnings], ['http://localhost:4000', 4000, []]);
    const other = join(directory.path, 'other.yaml');
    const odd = await command(['init', '--yes', '--issuer', 'http://localhost:3000'], {
      environment: { ...environment, LATCHKEY_CONFIG: other },
    });
    assert.equal(odd.code, 0);
    assert.match(odd.err, /^warning:\n.*issuer: has port 3000, but the server listens on port 4000/);
    assert.ok(existsSync(other));
  });

  it('"latchkey init" writes nothing if the environment would prevent a start', async () => {
    const { code, err } = await init('--yes --type web', { environment: { LATCHKEY_PORT: 'http' } });
    assert.equal(code, 1);
    assert.match(err, /LATCHKEY_PORT: must be a number/);
    assert.deepEqual([existsSync(file), existsSync(join(directory.path, 'secrets'))], [false, false]);
  });

  it('"latchkey init" creates the secret of a web app in a file that only its owner can read', async () => {
    const { code } = await init('--type web --name Shop --app http://localhost:8080 --yes');
    assert.equal(code, 0);
    const path = join(directory.path, 'secrets/shop');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(read().config.clients[0]?.secret?.reveal(), readFileSync(path, 'utf8').trim());
  });

  it('"latchkey init" replaces neither a configuration file nor a secret', async () => {
    directory.write('latchkey.yaml', 'issuer: https://mine.example.com\n');
    const { code, asked } = await init('', { answers: [] });
    assert.deepEqual([code, asked], [1, []]);
    assert.equal(readFileSync(file, 'utf8'), 'issuer: https://mine.example.com\n');
    const other = join(directory.path, 'other.yaml');
    const secret = 'k3F9s0QzP1x7Yt5Vb2Lm8Nc4Rd6Wg0HjAeUiOoSaTzE';
    await command(['secret', 'new', '--file', join(directory.path, 'secrets/shop')]);
    directory.write('secrets/shop', secret);
    const ended = await command(['init', '--config', other, '--type', 'web', '--name', 'Shop', '--yes']);
    assert.equal(ended.code, 0, ended.err);
    assert.match(ended.err, /secrets\/shop already exists and was not changed/);
    assert.equal(readFileSync(join(directory.path, 'secrets/shop'), 'utf8'), secret);
  });
});

describe('The command latchkey secret new', () => {
  it('"secret new" prints a new secret alone on standard output, and the setting for it beside that', async () => {
    const made = await Promise.all([command(['secret', 'new']), command(['secret', 'new'])]);
    for (const { code, out, err } of made) {
      assert.equal(code, 0);
      assert.match(out, /^[\w-]{43}\n$/);
      assert.ok(possibleBits(out.trim()) >= 128);
      assert.match(err, /secret: \{ env: SHOP_SECRET \}/);
      assert.ok(!err.includes(out.trim()));
    }
    assert.notEqual(made[0].out, made[1].out);
  });
});
