import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Item } from '../../src/storage/store.ts';
import { besides } from '../support/command.ts';
import { startTestServer } from '../support/server.ts';

/** `BACKUP_ACCOUNTS=1000000 npx mocha test/soak/million-accounts.test.ts` measures a million. */
const ACCOUNTS = Number(process.env['BACKUP_ACCOUNTS'] ?? 20_000);
const PROGRAM = join(import.meta.dirname, '../../bin/latchkey');
/** Memory in MiB that no command exceeds, however many accounts there are. */
const MOST_MEMORY = 400;

interface Measured {
  code: number | null;
  out: string;
  seconds: number;
  /** The largest resident memory in MiB; 0 where the system does not tell it. */
  memory: number;
}

/** Runs a command as a process of its own, and measures it. */
async function measured(environment: NodeJS.ProcessEnv, ...line: string[]): Promise<Measured> {
  const startedAt = performance.now();
  const child = spawn(PROGRAM, line, { env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  let memory = 0;
  const sampling = setInterval(() => (memory = Math.max(memory, residentMemory(child.pid))), 100);
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  clearInterval(sampling);
  return { code: child.exitCode, out: out + err, seconds: Math.round((performance.now() - startedAt) / 1000), memory };
}

function residentMemory(pid: number | undefined): number {
  try {
    return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);
  } catch {
    return 0;
  }
}

/** Four records for each account, as large as those of a server. */
function* recordsOf(account: number): Generator<Item> {
  const id = `acc_${String(account).padStart(22, '0')}`;
  const sealed = systemRandom.bytes(200).toString('base64url');
  const claim = systemRandom.bytes(32).toString('hex');
  const item = (key: string, value: object, indexes: string[] = []): Item => ({
    ...{ kind: 'record', key, json: JSON.stringify(value), version: 1 },
    ...(indexes.length > 0 && { indexes }),
  });
  yield item(`account:${id}`, { id, roles: ['user'], createdAt: 1, origin: 'sign-up', claim, sealed }, ['accounts']);
  yield item(`account-key:${id}`, { wrapped: systemRandom.bytes(60).toString('base64url') });
  yield item(`account-email:${claim}`, { account: id });
  yield item(`password:${id}`, {
    hash: `$argon2id$v=19$m=65536,t=3,p=1$${sealed.slice(0, 65)}`,
    changedAt: 1,
    version: claim,
  });
}

describe(`A store of ${ACCOUNTS.toLocaleString('en-US')} accounts`, function () {
  this.timeout(40 * 60_000);

  it('The memory of a backup, a restore and a check does not grow with the store', async () => {
    await using closing = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-million-'));
    closing.defer(() => rmSync(folder, { recursive: true, force: true }));
    const file = (name: string): string => join(folder, name);
    writeFileSync(file('key'), 'correct horse battery staple\n', { mode: 0o600 });
    const source = `sqlite:${file('source.db')}`;
    const server = closing.use(await startTestServer({ store: source }));
    const store = await openStore(source, systemClock);
    for (let at = 0; at < ACCOUNTS; at += 500) {
      const some = Array.from({ length: Math.min(500, ACCOUNTS - at) }, (_, more) => [...recordsOf(at + more)]);
      await store.load(some.flat());
    }
    await store.close();

    const environment = (to: string) => besides({ directory: server.directory, issuer: server.issuer, store: to });
    const backup = await measured(environment(source), 'store', 'backup', file('backup'), '--key-file', file('key'));
    assert.equal(backup.code, 0, backup.out);
    const target = `sqlite:${file('target.db')}`;
    const line = ['store', 'restore', file('backup'), '--key-file', file('key'), '--yes'];
    const restore = await measured(environment(target), ...line);
    assert.equal(restore.code, 0, restore.out);
    const check = await measured(environment(target), 'store', 'check');
    assert.match(check.out, new RegExp(`^account +${(ACCOUNTS + 2).toLocaleString('en-US')} `, 'm'));

    for (const [name, { seconds, memory }] of Object.entries({ backup, restore, check })) {
      console.log(`    ${name}: ${seconds} s, ${memory} MiB of memory`);
      assert.ok(memory < MOST_MEMORY, `${name} takes ${memory} MiB`);
    }
    const megabytes = (path: string): number => Math.round(statSync(file(path)).size / 1e6);
    console.log(`    store: ${megabytes('source.db')} MB, backup: ${megabytes('backup')} MB`);
  });
});
