import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { CKA, CKO_PRIVATE_KEY } from '../../src/keys/pkcs11/constants.ts';
import { loadCryptoki } from '../../src/keys/pkcs11/cryptoki.ts';
import { ulong } from '../../src/keys/pkcs11/memory.ts';
import { Token } from '../../src/keys/pkcs11/token.ts';

/** Where the packages of Debian, Fedora, Homebrew and the project itself put the module. */
const MODULES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
];
/** SoftHSM looks for tokens when a process first loads it: all that the tests of one process use are made before. */
const TOKENS = 13;
export const PIN = '4711';

interface SoftHsm {
  module: string;
  /** Where it keeps its tokens. */
  directory: string;
  unused: string[];
}

let softHsm: SoftHsm | undefined;

export function findSoftHsm(): string | undefined {
  return MODULES.find((path) => existsSync(path));
}

/** An HSM in software, the same for all tests of this process and for the processes that they start. */
function start(): SoftHsm {
  const module = findSoftHsm();
  assert.ok(module !== undefined, 'the tests need softhsm2');
  const home = mkdtempSync(join(tmpdir(), 'latchkey-softhsm-'));
  process.once('exit', () => rmSync(home, { recursive: true, force: true }));
  const directory = join(home, 'tokens');
  mkdirSync(directory);
  writeFileSync(join(home, 'softhsm2.conf'), `directories.tokendir = ${directory}\nlog.level = ERROR\n`);
  process.env['SOFTHSM2_CONF'] = join(home, 'softhsm2.conf');
  const unused = Array.from({ length: TOKENS }, (_, index) => `latchkey test ${index}`);
  for (const label of unused) {
    const pins = ['--pin', PIN, '--so-pin', '47114711'];
    execFileSync('softhsm2-util', ['--init-token', '--free', '--label', label, ...pins], { stdio: 'pipe' });
  }
  return { module, directory, unused };
}

export type Pkcs11 = NonNullable<Config['keys']['pkcs11']>;

/** A token that nobody has used yet. */
export function freshToken(): Pkcs11 {
  softHsm ??= start();
  const token = softHsm.unused.shift();
  assert.ok(token !== undefined, 'the tests use more tokens than are made');
  return { module: softHsm.module, token, pin: new Secret(PIN) };
}

/** Takes the HSM away while something happens. */
export async function withoutHsm<T>(work: () => Promise<T>): Promise<T> {
  assert.ok(softHsm !== undefined);
  const { directory } = softHsm;
  renameSync(directory, `${directory}.away`);
  return work().finally(() => {
    renameSync(`${directory}.away`, directory);
  });
}

/** The names of all private keys that are in a token. */
export async function privateKeysIn(options: Pkcs11): Promise<string[]> {
  const session = await new Token(await loadCryptoki(options.module), options).open();
  const found = await session.find([[CKA.CLASS, ulong(CKO_PRIVATE_KEY)]]);
  const names = (await session.readAll(found, CKA.ID)).map(String);
  await session.close();
  return names.toSorted();
}
