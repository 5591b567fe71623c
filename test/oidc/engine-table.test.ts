import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Provider } from 'oidc-provider';
// @ts-expect-error: not part of the engine's types
import partsOf from 'oidc-provider/lib/helpers/weak_cache.js';
import { checkEngine } from '../../src/oidc/engine-override.ts';
import { engineOverrides } from '../../src/oidc/engine-overrides.ts';
import { startTestServer } from '../support/server.ts';
import { moduleInventory, providerInventory, type Inventory } from './engine-inventory.ts';
import { startProbed, type ProbedServer } from './engine-probes/probed-server.ts';

const ENGINE = join(import.meta.dirname, '../../node_modules/oidc-provider');
/** Listened to without a change to any answer, by `engine-events.ts`; Koa's own name among them. */
const REPORTED = [
  ...['authorization.error', 'grant.error', 'introspection.error', 'revocation.error', 'userinfo.error'],
  ...[
    'end_session.error',
    'end_session_confirm.error',
    'pushed_authorization_request.error',
    'code_verification.error',
  ],
  ...['device_authorization.error', 'device_resume.error', 'backchannel_authentication.error'],
  ...['error', 'server_error', 'grant.success'],
];

/** The names of all that differs; steps that were replaced are named as they were. */
function differences(pristine: Inventory, ours: Inventory): string[] {
  const names = [...new Set([...Object.keys(pristine), ...Object.keys(ours)])];
  // Grants and response modes that only one of the two has are registered, which is public.
  const isRegistered = (name: string) => /^(grant|response mode) /.test(name) && !(name in pristine && name in ours);
  return names
    .filter((name) => pristine[name] !== ours[name] && !isRegistered(name))
    .map((name) => name.replace(/#\d+$/, pristine[name]?.split(' ')[0] ?? 'added'))
    .toSorted();
}

describe('The engine beside an unchanged engine', () => {
  let server: ProbedServer;
  let pristine: Inventory;
  before(async () => {
    const child = join(import.meta.dirname, 'pristine-engine.ts');
    const text = execFileSync(process.execPath, [child], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    pristine = JSON.parse(text) as Inventory;
    server = await startProbed();
  });
  after(() => server.close());

  async function inventory(provider: Provider): Promise<Inventory> {
    const client = await provider.Client.find('demo-notes');
    assert.ok(client !== undefined);
    const parts = (partsOf as (provider: Provider) => object)(provider);
    return { ...(await moduleInventory()), ...providerInventory(provider, client, parts) };
  }

  it('The engine differs from an unchanged engine only by the rows of the override table', async () => {
    const rows = engineOverrides
      .filter(({ owner }) => owner !== 'event')
      .map(({ owner, method }) => `${owner} ${method}`);
    assert.deepEqual(differences(pristine, await inventory(server.provider)), [...new Set(rows)].toSorted());
  });

  it('The engine comparison finds any other replaced method, even that of an instance', async () => {
    const { Client } = server.provider;
    const client = await Client.find('demo-notes');
    assert.ok(client !== undefined);
    const metadata = Reflect.get(Client.prototype, 'metadata') as unknown;
    Object.assign(Client.prototype, { metadata: () => ({}) });
    Object.assign(client, { redirectUriAllowed: () => true });
    try {
      const found = differences(pristine, await inventory(server.provider));
      for (const name of ['Client.prototype metadata', 'a client redirectUriAllowed'])
        assert.ok(found.includes(name), name);
    } finally {
      Object.assign(Client.prototype, { metadata });
      Reflect.deleteProperty(client, 'redirectUriAllowed');
    }
  });

  it('The engine has a listener for each event of the override table, and otherwise only reporting listeners', () => {
    const emitter = server.provider as NodeJS.EventEmitter;
    const listeners = emitter.eventNames().flatMap((name) => emitter.listeners(name).map(() => String(name)));
    const events = engineOverrides.filter(({ owner }) => owner === 'event').map(({ method }) => method);
    assert.deepEqual(listeners.toSorted(), [...events, ...REPORTED].toSorted());
  });

  it('The engine emits each event of the override table with the arguments that its listener takes', () => {
    const text = globSync('lib/**/*.js', { cwd: ENGINE })
      .map((file) => readFileSync(join(ENGINE, file), 'utf8'))
      .join('\n');
    for (const { owner, method, arity } of engineOverrides) {
      if (owner !== 'event' || method === 'authorization.error' || method === 'server_error') continue;
      const emitted = text.matchAll(new RegExp(`emit\\('${method.replace('.', '\\.')}', ([^)]*)\\)`, 'g'));
      const counts = [...emitted].map(([, given = '']) => given.split(', ').length);
      assert.ok(counts.includes(Number(arity)), `${method} is emitted with ${counts.join(' or ')}`);
    }
  });
});

describe('A start with an incompatible engine', () => {
  const row = { owner: 'Client.prototype', method: 'includeSid', arity: 0, why: '', install: () => undefined } as const;

  for (const [bad, says] of [
    [
      { ...row, method: 'includesSid' },
      /Client\.prototype "includesSid" must be a method with 0 arguments, and is undefined/,
    ],
    [{ ...row, arity: 1 }, /Client\.prototype "includeSid" must be a method with 1 arguments, and is a method with 0/],
    [{ ...row, arity: 'none' }, /Client\.prototype "includeSid" must be no such member/],
    [{ ...row, owner: 'steps of revocation', method: 'refuseAll' }, /steps of revocation "refuseAll"/],
    [{ ...row, owner: 'grant', method: 'password' }, /grant "password"/],
    [{ ...row, owner: 'response mode', method: 'smoke' }, /response mode "smoke"/],
  ] as const)
    it(`The start fails for the override ${bad.owner} ${bad.method} with arity ${bad.arity}: ${says.source}`, async () => {
      const table = engineOverrides as (typeof engineOverrides)[number][];
      table.push(bad);
      try {
        await assert.rejects(startTestServer(), (error: Error) => {
          assert.match(error.message, says);
          assert.match(error.message, /^oidc-provider \d+\.\d+\.\d+ does not fit: .*docs\/engine\.md/);
          return true;
        });
      } finally {
        table.pop();
      }
    });

  it('The engine check finds a missing method before anything is installed', async () => {
    const server = await startProbed();
    try {
      assert.throws(() => checkEngine(server.provider, [{ ...row, method: 'gone' }], server.config), /"gone"/);
    } finally {
      await server.close();
    }
  });
});
