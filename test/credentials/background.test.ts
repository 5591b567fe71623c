import assert from 'node:assert/strict';
import { constants, getPriority } from 'node:os';
import type { Argon2Job } from '../../src/credentials/argon2-jobs.ts';
import { Background } from '../../src/credentials/background.ts';
import { until } from '../support/until.ts';

const JOB: Argon2Job = { verb: 'hash', text: 'plum cassette', options: { memoryCost: 1024, timeCost: 2 } };

/** A process of lower priority waits long on a busy machine. In milliseconds. */
const PATIENCE = 120_000;

describe('Password hashing in the background', function () {
  this.timeout(2 * PATIENCE);
  let background: Background;
  beforeEach(async () => {
    background = new Background();
    await untilThere();
  });
  afterEach(() => background.close());

  async function untilThere(): Promise<void> {
    await until(async () => {
      await background.run(JOB);
      return background.pid !== undefined;
    }, PATIENCE);
  }

  it('A background process of lower priority returns the results of argon2', async () => {
    assert.equal(getPriority(background.pid), constants.priority.PRIORITY_BELOW_NORMAL);
    const hash = await background.run(JOB);
    assert.match(hash, /^\$argon2id\$v=19\$m=1024,p=\d,t=2\$/);
    assert.equal(await background.run({ verb: 'verify', text: 'plum cassette', hash }), 'right');
    assert.equal(await background.run({ verb: 'verify', text: 'another', hash }), 'wrong');
  });

  it('The main process takes over if the background process dies, and a new one starts later', async () => {
    const first = background.pid ?? assert.fail('there is no process');
    const results = Array.from({ length: 20 }, () => background.run(JOB));
    process.kill(first, 'SIGKILL');
    assert.equal(new Set(await Promise.all(results)).size, 20);
    await until(() => background.pid !== first, PATIENCE);
    await untilThere();
    assert.notEqual(background.pid, first);
  });

  it('The background process ends when it is idle or closed', async () => {
    const idle = new Background(100);
    await until(async () => {
      await idle.run(JOB);
      return idle.pid !== undefined;
    }, PATIENCE);
    await until(() => idle.pid === undefined, PATIENCE);
    background.close();
    assert.match(await background.run(JOB), /^\$argon2id/);
    await until(() => background.pid === undefined, PATIENCE);
  });
});
