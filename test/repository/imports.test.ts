import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** A house with one fault a file; each says what the checker has to answer. */
const FAULTS = {
  'src/lib/upwards.ts': { imports: '../config/section.ts', rule: 'lib-imports-listed-rooms' },
  'src/http/unlisted.ts': { imports: '../config/section.ts', rule: 'http-imports-listed-rooms' },
  'src/accounts/upwards-by-type.ts': { imports: '../host/app.ts', rule: 'accounts-imports-listed-rooms', type: true },
  'src/signals/sideways.ts': { imports: '../oidc/provider.ts', rule: 'signals-imports-listed-rooms' },
  'src/sessions/upwards.ts': { imports: '../oidc/provider.ts', rule: 'sessions-imports-listed-rooms' },
  'src/revocation/sideways.ts': { imports: '../oidc/provider.ts', rule: 'revocation-imports-listed-rooms' },
  'src/oidc/into-a-test.ts': { imports: '../../test/helper.ts', rule: 'oidc-imports-listed-rooms' },
  'src/keys/into-a-backend.ts': { imports: '../storage/sqlite/backend.ts', rule: 'storage-sqlite-is-opened-by-few' },
  'src/host/reads-the-file.ts': {
    imports: '../config/loading/load.ts',
    rule: 'config-loading-load-ts-is-opened-by-few',
  },
  'src/resource-server/into-lib.ts': { imports: '../lib/clock.ts', rule: 'resource-server-stands-alone' },
  'src/resource-server/foreign-package.ts': { imports: 'koa', rule: 'resource-server-stands-alone' },
  'src/demo/into-lib.ts': { imports: '../lib/clock.ts', rule: 'demo-uses-what-everyone-gets' },
  'src/drawer/helper.ts': { imports: '../lib/clock.ts', rule: 'every-room-has-a-level' },
  'src/lib/chicken.ts': { imports: './egg.ts', rule: 'no-cycle' },
  'test/by-a-command.ts': { imports: '../src/cli/run.ts', rule: 'tests-open-the-domain' },
  'src/cli/second-opening.ts': {
    imports: '../storage/open-stores.ts',
    rule: 'storage-open-stores-ts-is-opened-by-few',
  },
  'src/lib/missing.ts': { imports: './not-there.ts', rule: 'resolves' },
} as const;

const SOUND = {
  'src/lib/clock.ts': '',
  'src/lib/egg.ts': "import './chicken.ts';",
  'src/config/section.ts': "import '../lib/clock.ts';",
  'src/config/loading/load.ts': "import '../section.ts';",
  'src/storage/store.ts': "import '../lib/clock.ts';",
  'src/storage/sqlite/backend.ts': "import '../store.ts';",
  'src/storage/open-store.ts': "import './sqlite/backend.ts';",
  'src/oidc/provider.ts': "import '../storage/store.ts';",
  'src/host/app.ts': "import '../oidc/provider.ts';",
  'src/server.ts': "import './host/app.ts';\nimport './storage/open-stores.ts';",
  'src/storage/open-stores.ts': "import './open-store.ts';",
  'src/cli/run.ts': "import '../server.ts';\nimport '../config/loading/load.ts';",
  'test/cli/run.ts': "import '../../src/cli/run.ts';",
  'src/main.ts': "import './cli/run.ts';",
  'test/helper.ts': "import '../src/oidc/provider.ts';",
  'tsconfig.json': '{}',
};

interface Violation {
  from: string;
  rule: { name: string };
}

describe('The import checker', () => {
  let house: string;
  let violations: Violation[];

  before(async () => {
    house = await mkdtemp(join(tmpdir(), 'latchkey-house-'));
    for (const [path, fault] of Object.entries(FAULTS)) {
      const type = 'type' in fault ? 'type {} from ' : '';
      await write(path, `import ${type}'${fault.imports}';`);
    }
    for (const [path, text] of Object.entries(SOUND)) await write(path, text);
    violations = await cruise();
  });
  after(() => rm(house, { recursive: true }));

  async function write(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(house, path)), { recursive: true });
    await writeFile(join(house, path), text);
  }

  async function cruise(): Promise<Violation[]> {
    const args = ['--config', resolve('.dependency-cruiser.js'), '--output-type', 'json', 'src', 'test'];
    const report = await new Promise<string>((done) => {
      execFile(resolve('node_modules/.bin/depcruise'), args, { cwd: house }, (_error, stdout) => done(stdout));
    });
    return (JSON.parse(report) as { summary: { violations: Violation[] } }).summary.violations;
  }

  const rulesAgainst = (path: string): string[] =>
    violations.filter((violation) => violation.from === path).map((violation) => violation.rule.name);

  for (const [path, { imports, rule }] of Object.entries(FAULTS)) {
    it(`The import checker refuses that ${path} imports ${imports} (${rule})`, () =>
      assert.ok(rulesAgainst(path).includes(rule)));
  }

  it('The import checker accepts rooms whose imports run downwards', () => {
    const sound = Object.keys(SOUND).filter((path) => path !== 'src/lib/egg.ts');
    assert.deepEqual(sound.flatMap(rulesAgainst), []);
  });

  it('The import checker names a module that nothing imports', () => {
    assert.ok(rulesAgainst('src/signals/sideways.ts').includes('no-dead-module'));
  });
});
