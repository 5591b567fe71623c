import assert from 'node:assert/strict';
import { openAccounts } from '../../src/accounts/accounts.ts';
import type { BusinessEvent } from '../../src/events/events.ts';
import { systemRandom as random } from '../../src/lib/random.ts';
import { Revocations, type RevocationListener } from '../../src/revocation/revocations.ts';
import { openTokens } from '../../src/revocation/tokens.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { sqlite, type RunningBackend } from '../storage/backends.ts';
import { MovedClock } from '../support/clock.ts';
import { until } from '../support/until.ts';

describe('A revocation', () => {
  const clock = new MovedClock();
  let backend: RunningBackend;
  let grants: Store;
  let opened: Revocations[];
  let events: BusinessEvent[];
  let failures: unknown[];

  beforeEach(async () => {
    backend = await sqlite.start();
    grants = await openStore(backend.url, clock);
    [opened, events, failures] = [[], [], []];
  });
  afterEach(async () => {
    await Promise.all(opened.map((one) => one.close()));
    await grants.close();
    await backend.stop();
  });

  const partsOf = () => ({
    ...{ grants, clock, random, notBeforeLife: 3600 },
    accounts: openAccounts({ records: grants, clock, random }),
    clients: { find: () => Promise.resolve(undefined) },
    tokens: openTokens({ grants, clock, issuer: 'https://here.example' }),
  });

  function node(listener: RevocationListener): Revocations {
    const server = {
      announce: (event: BusinessEvent) => events.push(event),
      logouts: { deliver: () => Promise.resolve() },
      reportFailure: (error: unknown) => failures.push(error),
    };
    const revocations = new Revocations({ ...partsOf(), server });
    revocations.onRevoked(listener);
    revocations.watch();
    opened.push(revocations);
    return revocations;
  }

  /** Moves the clock from sweep to sweep, until it is over. */
  async function sweepAll(): Promise<void> {
    const stepsDone = async (): Promise<number> => {
      const [key = 'none'] = (await grants.members<{ done: number }>('revocations')).keys;
      return (await grants.get(key))?.value.done ?? Infinity;
    };
    // The first telling goes on while whoever asked has its answer.
    await until(async () => (await stepsDone()) >= 2);
    for (const [seconds, done] of [
      [2, 3],
      [5, 4],
      [31, Infinity],
    ] as const) {
      clock.advance(seconds);
      await until(async () => (await stepsDone()) >= done);
    }
  }

  it('of a command is told by one of the nodes, once', async () => {
    const ids: string[] = [];
    const listen = (): Revocations =>
      node(({ id }) => {
        ids.push(id);
        return Promise.resolve();
      });
    for (let nodes = 0; nodes < 3; nodes += 1) listen();
    await new Revocations(partsOf()).revoke({ what: 'client', client: 'shop' }, 'client-disabled');
    await until(() => events.length > 0);
    await sweepAll();
    assert.deepEqual([ids.length, events.length], [1, 1]);
    assert.deepEqual(failures, []);
  });

  it('is told again to a listener that failed, under the same id, and is swept all the same', async () => {
    const ids: string[] = [];
    const failing = node(({ id }) => {
      ids.push(id);
      return ids.length < 2 ? Promise.reject(new Error('away')) : Promise.resolve();
    });
    await failing.revoke({ what: 'client', client: 'shop' }, 'client-disabled');
    assert.deepEqual([ids.length, events.length, failures.length], [1, 0, 1]);
    await sweepAll();
    assert.deepEqual([events.length, ids.length, new Set(ids).size], [1, 2, 1]);
  });
});
