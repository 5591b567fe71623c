import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { openAccounts } from '../../src/accounts/accounts.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openSqliteStore } from '../../src/storage/sqlite/sqlite-store.ts';
import { table } from '../../src/cli/help-text.ts';
import { command } from '../support/command.ts';
import { makeStore } from '../support/made-store.ts';
import { WorkingDirectory, type Ended } from './latchkey.ts';

// Most lines run in this process, since a process of its own for each costs half a second.
describe('The command line', () => {
  const directory = new WorkingDirectory();
  after(() => directory.remove());

  it('The help lists all commands', async () => {
    for (const line of [['help'], ['--help'], ['-h']]) {
      const { code, out, err } = await command(line);
      assert.deepEqual([code, err], [0, '']);
      for (const name of ['start', 'check-config', 'help', 'version'])
        assert.match(out, new RegExp(`^  ${name}\\b`, 'm'));
    }
  });

  it('The help of one command is the same by either form', async () => {
    const asked = await command(['help', 'check-config']);
    const { code, out } = await command(['check-config', '--help']);
    assert.equal(code, 0);
    assert.match(out, /--config FILE {2}the configuration file/);
    assert.equal(asked.out, out);
  });

  it('"latchkey version" prints the version', async () => {
    const { code, out } = await directory.run(['version']);
    assert.equal(code, 0);
    assert.match(out, /^latchkey \d+\.\d+\.\d+ \(Node\.js 2[4-9]\./);
    assert.deepEqual(await directory.run(['--version']), { code, out, err: '' });
  });

  it('The help shows exactly the optional words in brackets', async () => {
    const { out } = await command(['help']);
    assert.match(out, /^ {2}accounts ACTION \[EMAIL\|ACCOUNT\] \[ROLE\] /m);
    assert.match(out, /^ {2}secret ACTION /m);
    assert.match(out, /^ {2}help \[COMMAND\] \[ACTION\] /m);
  });

  it('The option --help shows help whatever else the line has', async () => {
    for (const line of [
      'revoke token --help',
      'accounts lsit -h',
      'start --config --help',
      'keys revoke --frobnicate --help',
    ]) {
      const { code, out, err } = await command(line.split(' '));
      assert.deepEqual([code, err], [0, ''], line);
      assert.ok(out.startsWith(`latchkey ${line.split(' ')[0]}`), out);
    }
  });

  it('The help of an action is that of its command', async () => {
    const [one, other] = [await command(['help', 'accounts', 'add']), await command(['accounts', '--help'])];
    assert.deepEqual([one.code, one.out], [0, other.out]);
  });

  const misunderstood: Record<string, string> = {
    strat: 'there is no command "strat" (did you mean start?)',
    'frobnicate --now': 'there is no command "frobnicate"',
    'help strat': 'there is no command "strat" (did you mean start?)',
    'start --confg x': 'start has no option --confg (did you mean --config?)',
    '--confg x': 'there is no option --confg (did you mean --config?)',
    '--verison': 'there is no option --verison (did you mean --version?)',
    '--hlep': 'there is no option --hlep (did you mean --help?)',
    'start --toString': 'start has no option --toString',
    'start -c x': 'start has no option -c',
    'check-config latchkey.yaml': 'check-config does not take "latchkey.yaml" (did you mean --config latchkey.yaml?)',
    'check-config --config': '--config needs a value: --config FILE',
    'check-config --config=': '--config needs a value: --config FILE',
    'start --help=yes': '--help does not take a value',
  };
  it('The process exits with 2 if it does not understand the line', async () => {
    const { code, out, err } = await directory.run(['strat']);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, /^latchkey: there is no command "strat"/);
  });

  for (const [line, message] of Object.entries(misunderstood)) {
    it(`The program rejects "${line}" with the reason and exit code 2`, async () => {
      const { code, out, err } = await command(line.split(' '));
      assert.deepEqual([code, out], [2, '']);
      const [first = ''] = line.split(' ');
      const hint = ['start', 'check-config'].includes(first)
        ? `help ${first}" shows its arguments`
        : 'help" lists all commands';
      assert.equal(err, `latchkey: ${message}\n"latchkey ${hint}\n`);
    });
  }
});

describe('The command check-config without a configuration', () => {
  const directory = new WorkingDirectory();
  after(() => directory.remove());

  it('"check-config" without a configuration suggests a file option or latchkey init and exits with 1', async () => {
    const { code, out, err } = await directory.run(['check-config']);
    assert.deepEqual([code, out], [1, '']);
    assert.equal(
      err,
      'latchkey: there is no latchkey.yaml in this folder; name a file with --config FILE, or create one with latchkey init\n',
    );
  });
});

describe('A command whose reader closes the pipe', () => {
  const directory = new WorkingDirectory();
  after(() => directory.remove());

  /** Runs a line of the shell, with the program in the place of `latchkey`. */
  async function shell(line: string): Promise<Ended> {
    const main = join(import.meta.dirname, '../../src/main.ts');
    const latchkey = `"${process.execPath}" "${main}"`;
    const child = spawn('sh', ['-c', line.replace('latchkey', latchkey)], { cwd: directory.path });
    const ended = once(child, 'close') as Promise<[number]>;
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { code, out, err };
  }

  it('A command whose reader closes the pipe exits normally without a stack trace', async () => {
    const url = `sqlite:${join(directory.path, 'store.db')}`;
    directory.write('latchkey.yaml', 'issuer: http://localhost:3000\nstores: { grants: "sqlite:store.db" }\n');
    await makeStore(url, 'configured', join(directory.path, 'keys'));
    const records = openSqliteStore(join(directory.path, 'store.db'), systemClock);
    const accounts = openAccounts({ records, clock: systemClock, random: systemRandom });
    for (let count = 0; count < 2000; count += 1)
      await accounts.create({ email: `n${count}@example.com`, name: 'N'.repeat(99), roles: [], origin: 'operator' });
    await records.close();
    for (const options of ['', '--json']) {
      const ended = await shell(`(latchkey accounts list ${options}; echo "ended with $?" >&2) | head -1`);
      assert.equal(ended.err, 'ended with 0\n');
      assert.equal(ended.out.trimEnd().split('\n').length, 1);
    }
  });

  it('A command whose reader closes the pipe still completes its work', async () => {
    const ended = await shell(
      '(echo plum cassette harbour | latchkey accounts add ann@example.com --password-file -; echo "ended with $?" >&2) | true',
    );
    assert.equal(ended.err, 'ended with 0\n');
    assert.match((await directory.run(['accounts', 'show', 'ann@example.com'])).out, /ann@example\.com/);
  });
});

describe('A table of the command line', () => {
  it('A table aligns its columns where characters take two cells or none', () => {
    const rows = ['王小明', 'e\u0301a', 'ﾊﾅ', 'Ａ', '🙂', 'Ann'].map((name) => [name, '|']);
    assert.deepEqual(table(rows, '').split('\n'), [
      '王小明  |',
      'e\u0301a      |',
      'ﾊﾅ      |',
      'Ａ      |',
      '🙂      |',
      'Ann     |',
    ]);
  });
});
