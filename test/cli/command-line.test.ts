import assert from 'node:assert/strict';
import { WorkingDirectory } from './latchkey.ts';

describe('The command line', () => {
  const directory = new WorkingDirectory();
  after(() => directory.remove());

  it('shows the commands there are', async () => {
    for (const line of [['help'], ['--help'], ['-h']]) {
      const { code, out, err } = await directory.run(line);
      assert.deepEqual([code, err], [0, '']);
      for (const name of ['start', 'check-config', 'help', 'version'])
        assert.match(out, new RegExp(`^  ${name}\\b`, 'm'));
    }
  });

  it('shows what one command takes, asked in either way', async () => {
    const asked = await directory.run(['help', 'check-config']);
    const { code, out } = await directory.run(['check-config', '--help']);
    assert.equal(code, 0);
    assert.match(out, /--config FILE {2}the configuration file/);
    assert.equal(asked.out, out);
  });

  it('prints the version', async () => {
    const { code, out } = await directory.run(['version']);
    assert.equal(code, 0);
    assert.match(out, /^latchkey \d+\.\d+\.\d+ \(Node\.js 2[4-9]\./);
    assert.deepEqual(await directory.run(['--version']), { code, out, err: '' });
  });

  const misunderstood: Record<string, string> = {
    strat: 'there is no command "strat" (did you mean start?)',
    'frobnicate --now': 'there is no command "frobnicate"',
    'help strat': 'there is no command "strat" (did you mean start?)',
    'start --confg x': 'start has no option --confg (did you mean --config?)',
    '--confg x': 'start has no option --confg (did you mean --config?)',
    'start --toString': 'start has no option --toString',
    'start -c x': 'start has no option -c',
    'check-config latchkey.yaml': 'check-config does not take "latchkey.yaml"',
    'check-config --config': '--config needs a value: --config FILE',
    'check-config --config=': '--config needs a value: --config FILE',
    'start --help=yes': '--help does not take a value',
    'check-config': 'there is no latchkey.yaml here; name a file with --config FILE',
  };
  for (const [line, message] of Object.entries(misunderstood)) {
    it(`does not understand "${line}", says so and ends with 2`, async () => {
      const { code, out, err } = await directory.run(line.split(' '));
      assert.deepEqual([code, out], [2, '']);
      assert.equal(err, `latchkey: ${message}\n"latchkey help" shows what there is\n`);
    });
  }
});
