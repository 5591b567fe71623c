import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { ESLint, type Linter } from 'eslint';
import tseslint from 'typescript-eslint';

const FAULTS = [
  { code: 'export const now = Date.now();', home: 'src/lib/clock.ts', says: /Clock/ },
  { code: 'export const now = new Date();', home: 'src/lib/clock.ts', says: /Clock/ },
  { code: 'export const dice = Math.random();', home: 'src/lib/random.ts', says: /Random/ },
  { code: "export { randomBytes } from 'node:crypto';", home: 'src/lib/random.ts', says: /Random/ },
  {
    code: 'export const all = process.env;',
    home: 'src/config/loading/environment.ts',
    says: /config\/ reads the environment/,
  },
  {
    code: "export { env } from 'node:process';",
    home: 'src/config/loading/environment.ts',
    says: /config\/ reads the environment/,
  },
  { code: "export { DatabaseSync } from 'node:sqlite';", home: 'src/storage/sqlite/x.ts', says: /storage\/sqlite/ },
  { code: "export { Redis } from 'ioredis';", home: 'src/storage/redis/x.ts', says: /storage\/redis/ },
  { code: "export { hash } from 'argon2';", home: 'src/credentials/x.ts', says: /credentials/ },
  { code: "export * from 'oidc-provider/lib/helpers/grants.js';", home: 'src/oidc/internals.ts', says: /one file/ },
];

/** Ways to patch the engine beside its table. */
const PATCHES = [
  'provider.Client.prototype.includeSid = () => true;',
  'prototype.includeSid = () => true;',
  'Client.find = () => undefined;',
  'Object.assign(provider.Client.prototype, { scope: 0 });',
  'Object.assign(Client, { find: undefined });',
  "Reflect.defineProperty(prototype, 'find', {});",
  "provider.on('authorization.success', () => undefined);",
  "(provider as NodeJS.EventEmitter).prependListener('error', () => undefined);",
].map((code) => ({ code, home: 'src/oidc/engine-members.ts', says: /engine-overrides/ }));

const REFUSED_EVERYWHERE = [
  { code: 'export default 1;', says: /default/ },
  { code: "console.log('x');", says: /console/ },
  { code: 'export const made = open({ ...parts, clock });', says: /one by one/ },
  { code: 'export const made = { ...domain, ring };', says: /one by one/ },
];

/** Ways in which a test hangs once it fails. */
const ENDLESS = [
  { code: 'while (!(await isReady())) await sleep(50);', says: /until\(\)/ },
  { code: 'while (await isBusy());', says: /until\(\)/ },
  { code: 'for (;;) await look();', says: /Bound/ },
  { code: 'while (true) await look();', says: /Bound/ },
  { code: "it('serves', async () => { const server = await startTestServer({}); });", says: /await using/ },
];
const ENDING = [
  'await until(isReady);',
  'for (let tries = 0; tries < 9 && (await isBusy()); tries += 1);',
  "it('serves', async () => { await using server = await startTestServer({}); });",
  'before(async () => { server = await startTestServer({}); });',
];

const COMMENTS = [
  { code: '/** What the list holds. */\nexport const list = [];', isRefused: true },
  { code: '// Whether it is open.\nexport const isOpen = true;', isRefused: true },
  { code: '/**\n * Which of them is first.\n */\nexport const first = 0;', isRefused: true },
  {
    code: '/** The items of the list. What they hold is up to the caller. */\nexport const list = [];',
    isRefused: false,
  },
  {
    code: '// A sentence that goes on in the next line.\n// How long it is matters not.\nexport const a = 1;',
    isRefused: false,
  },
];

describe('The lint rules of this repository', () => {
  // The rules that need types are left out: they take seconds, and none of these is among them.
  const untyped = tseslint.configs.disableTypeChecked as Linter.Config;
  const eslint = new ESLint({ cwd: resolve('.'), overrideConfig: untyped });

  async function complaints(code: string, filePath: string): Promise<string> {
    const results = await eslint.lintText(`${code}\n`, { filePath });
    return results.flatMap((result) => result.messages.map((message) => message.message)).join('\n');
  }

  for (const { code, home, says } of [...FAULTS, ...PATCHES]) {
    it(`The lint rules refuse ${code} outside ${home}`, async () =>
      assert.match(await complaints(code, 'src/host/x.ts'), says));
    it(`The lint rules allow ${code} in ${home}`, async () => assert.equal(await complaints(code, home), ''));
  }

  for (const { code, isRefused } of COMMENTS) {
    it(`The lint rules ${isRefused ? 'refuse' : 'allow'} the comment in ${JSON.stringify(code)}`, async () => {
      const found = await complaints(code, 'src/lib/x.ts');
      assert.equal(found.includes('Open the comment with a noun or a verb'), isRefused, found);
    });
  }

  for (const { code, says } of ENDLESS)
    it(`The lint rules refuse ${code} in tests`, async () =>
      assert.match(await complaints(code, 'test/host/x.ts'), says));

  for (const code of ENDING)
    it(`The lint rules allow ${code} in tests`, async () => {
      assert.doesNotMatch(await complaints(code, 'test/host/x.ts'), /until\(\)|Bound|await using/);
    });

  for (const { code, says } of REFUSED_EVERYWHERE) {
    it(`The lint rules refuse ${code}`, async () => assert.match(await complaints(code, 'src/host/x.ts'), says));
  }
});
