import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { loadConfig } from '../../src/config/loading/load.ts';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { systemRandom } from '../../src/lib/random.ts';

const service = z.object({
  read_only: z.literal(true),
  cap_drop: z.tuple([z.literal('ALL')]),
  security_opt: z.array(z.string()),
  user: z.string().optional(),
  image: z.string(),
  command: z.string().optional(),
  deploy: z.object({ replicas: z.int() }).optional(),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()),
  secrets: z.array(z.object({ source: z.string(), target: z.string() })).default([]),
  networks: z.union([z.array(z.string()), z.record(z.string(), z.object({ ipv4_address: z.string() }))]).default([]),
  healthcheck: z.object({ test: z.array(z.string()).default([]) }).optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
});
const oneShot = service.extend({
  entrypoint: z.array(z.string()),
  command: z.array(z.string()),
  restart: z.literal('no'),
});
const composeFile = z.object({
  services: z.object({ 'master-key': oneShot, latchkey: service, redis: service, proxy: service }),
  networks: z.record(z.string(), z.object({ internal: z.boolean().optional() })),
  volumes: z.record(z.string(), z.null()),
  secrets: z.record(z.string(), z.object({ file: z.string() })),
});

const { services, networks, volumes, secrets } = composeFile.parse(
  parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }),
);
const dockerfile = readFileSync('Dockerfile', 'utf8');
const caddyfile = readFileSync('docs/compose/Caddyfile', 'utf8');
const { config } = loadConfig({ file: 'docs/compose/latchkey.yaml', environment: {} });

const isHostPath = (source: string): boolean => source.startsWith('./');

describe('The compose file', () => {
  for (const [name, { security_opt, volumes: mounts }] of Object.entries(services)) {
    it(`The compose service ${name} cannot gain privileges`, () =>
      assert.deepEqual(security_opt, ['no-new-privileges:true']));

    it(`The compose service ${name} mounts only what exists, and host files read-only`, () => {
      for (const mount of mounts) {
        const [source = '', , mode] = mount.split(':');
        assert.ok(isHostPath(source) ? existsSync(source) && mode === 'ro' : source in volumes, mount);
      }
    });
  }

  it('The compose file runs two servers with one configuration and one master key', () => {
    assert.equal(services.latchkey.deploy?.replicas, 2);
    assert.deepEqual(services.latchkey.volumes, [
      './docs/compose/latchkey.yaml:/etc/latchkey/latchkey.yaml:ro',
      'keys:/keys:ro',
    ]);
    assert.match(dockerfile, /LATCHKEY_DEFAULT_KEYS_DIR=\/keys/);
    assert.match(dockerfile, /CMD \["start", "--config", "\/etc\/latchkey\/latchkey\.yaml"\]/);
  });

  it('The compose file creates a master key that the server accepts, once, before the first server starts', async () => {
    assert.equal(services.latchkey.depends_on['master-key']?.condition, 'service_completed_successfully');
    const { entrypoint, command, volumes: mounts } = services['master-key'];
    assert.deepEqual(mounts, ['keys:/keys']);
    const keys = mkdtempSync(join(tmpdir(), 'latchkey-keys-'));
    const [program = '', ...args] = [...entrypoint, ...command.map((line) => line.replace('/keys', keys))];
    const start = async (): Promise<string> => {
      execFileSync(program, args);
      return (await openMasterKey(keys, { create: false, random: systemRandom })).id;
    };
    assert.equal(await start(), await start());
    rmSync(keys, { recursive: true });
  });

  it('The Redis of the compose file stores every record on disk and evicts nothing', () => {
    const command = services.redis.command ?? '';
    assert.match(command, /--appendonly yes/);
    assert.match(command, /--maxmemory-policy noeviction/);
    assert.deepEqual(services.redis.volumes, ['redis:/data']);
    assert.deepEqual(config.stores, { grants: 'redis://redis:6379' });
  });

  it('Only the servers of the compose file can reach its Redis', () => {
    assert.deepEqual(services.redis.networks, ['storage']);
    assert.equal(networks['storage']?.internal, true);
    assert.deepEqual(Object.keys(services.proxy.networks), ['edge']);
  });

  it('Only the proxy of the compose file has an open port, at the address of the issuer', () => {
    assert.deepEqual([services.latchkey.ports, services.redis.ports], [[], []]);
    assert.deepEqual(services.proxy.ports, ['127.0.0.1:8080:8080']);
    assert.equal(config.issuer, 'http://localhost:8080');
    assert.match(caddyfile, /^:8080 \{$/m);
    assert.match(caddyfile, /dynamic a latchkey 3000 /);
  });

  it('The servers of the compose file trust only the proxy about client addresses', () => {
    const { edge } = z.object({ edge: z.object({ ipv4_address: z.ipv4() }) }).parse(services.proxy.networks);
    assert.deepEqual(config.listen.trusted_proxies, [edge.ipv4_address]);
  });

  it('The compose file provides secrets as files at the paths that the configuration names', () => {
    for (const { source, target } of services.latchkey.secrets) {
      const file = secrets[source]?.file ?? '';
      assert.equal(target.replace('/etc/latchkey/', 'docs/compose/'), file);
      assert.ok(existsSync(file), file);
    }
    assert.equal(services.latchkey.secrets.length, Object.keys(secrets).length);
  });

  it('Every service of the compose file has a health check', () => {
    assert.deepEqual(services.redis.healthcheck?.test, ['CMD', 'redis-cli', '-e', 'ping']);
    assert.match(services.proxy.healthcheck?.test.join(' ') ?? '', /localhost:8080\/healthz/);
    const [, command = ''] = /^HEALTHCHECK [^\n]*\\\n *CMD (\[.*\])$/m.exec(dockerfile) ?? [];
    const [, started = ''] = /^CMD (\[.*\])$/m.exec(dockerfile) ?? [];
    const [, ...named] = z.array(z.string()).parse(JSON.parse(started));
    assert.deepEqual(JSON.parse(command), ['latchkey', 'health', ...named]);
  });
});

describe('The container image', () => {
  it('The container image has latchkey on its PATH, and leaves the port to the configuration', () => {
    assert.match(dockerfile, /^RUN ln -s \/app\/src\/main\.ts \/usr\/local\/bin\/latchkey$/m);
    assert.doesNotMatch(dockerfile, /LATCHKEY_PORT/);
  });

  it('The container image has the major version of Node that package.json requires', () => {
    const manifest = z.object({ engines: z.object({ node: z.string() }) });
    const { engines } = manifest.parse(JSON.parse(readFileSync('package.json', 'utf8')));
    const majors = [...dockerfile.matchAll(/^FROM node:(\d+)-/gm)].map(([, major]) => `>=${major ?? ''}`);
    assert.deepEqual(majors, [engines.node, engines.node]);
  });

  it('The container image does not run as root', () => {
    assert.equal([...dockerfile.matchAll(/^USER (.*)$/gm)].at(-1)?.[1], 'node');
  });

  it('The container image contains only files that .dockerignore allows', () => {
    const allowed = readFileSync('.dockerignore', 'utf8').split('\n').filter(Boolean);
    assert.equal(allowed.shift(), '*');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, paths = '']) =>
      paths.split(' '),
    );
    assert.deepEqual(new Set(copied), new Set(allowed.map((line) => line.replace('!', ''))));
    assert.ok(copied.every((path) => existsSync(path)));
  });
});
