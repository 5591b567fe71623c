import assert from 'node:assert/strict';
import { openAccounts } from '../../src/accounts/accounts.ts';
import type { BusinessEvent } from '../../src/events/events.ts';
import { systemRandom as random } from '../../src/lib/random.ts';
import type { Revocation } from '../../src/revocation/journal.ts';
import { Revocations, type RevocationListener } from '../../src/revocation/revocations.ts';
import { openTokens } from '../../src/revocation/tokens.ts';
import { latestNotBefore } from '../../src/sessions/not-before.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { sqlite, type RunningBackend } from '../storage/backends.ts';
import { MovedClock } from '../support/clock.ts';
import { storesAround } from '../support/stores-around.ts';
import { until } from '../support/until.ts';

/** Longer than a node has a step for itself, in seconds. */
const LEASE = 4;

describe('The revocation journal', () => {
  const clock = new MovedClock();
  let backend: RunningBackend;
  let grants: Store;
  let opened: Revocations[];
  let events: BusinessEvent[];
  let failures: unknown[];
  /** Of nodes that stand still. */
  let resumes: (() => void)[];

  beforeEach(async () => {
    backend = await sqlite.start();
    grants = await openStore(backend.url, clock);
    [opened, events, failures, resumes] = [[], [], [], []];
  });
  afterEach(async () => {
    for (const resume of resumes) resume();
    await Promise.all(opened.map((one) => one.close()));
    await grants.close();
    await backend.stop();
  });

  const partsOf = (store = grants) => ({
    ...{ grants: store, clock, random, notBeforeLife: 3600 },
    accounts: openAccounts({ records: store, clock, random }),
    clients: { find: () => Promise.resolve(undefined) },
    tokens: openTokens({ grants: store, clock, issuer: 'https://here.example' }),
  });

  function node(listener: RevocationListener = () => Promise.resolve(), store = grants): Revocations {
    const server = {
      announce: (event: BusinessEvent) => events.push(event),
      logouts: { deliver: () => Promise.resolve() },
      reportFailure: (error: unknown) => failures.push(error),
    };
    const revocations = new Revocations({ ...partsOf(store), server });
    revocations.onRevoked(listener);
    revocations.watch();
    opened.push(revocations);
    return revocations;
  }

  /** A node that stands still from `stop` to `resume`: its store does not answer. */
  function stoppableNode() {
    const end: PromiseWithResolvers<void> = Promise.withResolvers();
    let standing: Promise<void> | undefined;
    const { around } = storesAround(async (call) => {
      await standing;
      return call();
    });
    const revocations = node(undefined, around({ grants, records: grants }).grants);
    resumes.push(end.resolve);
    const stop = (): void => void (standing = end.promise);
    return { revocations, stop, resume: end.resolve, untilStopped: () => until(() => standing !== undefined) };
  }

  /** The only revocation that is not over. */
  async function unfinished(): Promise<Revocation | undefined> {
    const [key = 'none'] = (await grants.members<Revocation>('revocations')).keys;
    return (await grants.get(key))?.value;
  }
  const stepsDone = async (): Promise<number> => (await unfinished())?.done ?? Infinity;

  /** Moves the clock from sweep to sweep, until it is over. */
  async function sweepAll(): Promise<void> {
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

  it('One of several nodes reports the revocation of a command, and only once', async () => {
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

  it('A listener that failed hears of a revocation again under the same id, and the sweeps continue', async () => {
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

  it('The journal keeps a revocation until a failing listener has heard of it', async () => {
    const ids: string[] = [];
    let isAway = true;
    const failing = node(({ id }) => {
      ids.push(id);
      return isAway ? Promise.reject(new Error('away')) : Promise.resolve();
    });
    await failing.revoke({ what: 'client', client: 'shop' }, 'client-disabled');
    for (const [seconds, done] of [
      [2, 3],
      [5, 4],
      [31, 5],
    ] as const) {
      clock.advance(seconds);
      await until(async () => (await stepsDone()) === done);
    }
    await until(() => failures.length === 2);
    assert.deepEqual([await stepsDone(), events.length], [5, 0]);
    isAway = false;
    clock.advance(LEASE);
    await until(async () => (await unfinished()) === undefined);
    assert.deepEqual([events.length, ids.length, new Set(ids).size], [1, 3, 1]);
  });

  it('A node that was suspended does not undo the progress that another node made with its revocation', async () => {
    const { revocations, stop, resume, untilStopped } = stoppableNode();
    const revoked = revocations.revoke({ what: 'client', client: 'shop' }, 'client-disabled', () => {
      // From here on, while the change is made already.
      stop();
      return Promise.resolve();
    });
    await untilStopped();
    node();
    clock.advance(LEASE);
    await until(async () => (await unfinished())?.isTold === true);
    const before = await unfinished();
    resume();
    await revoked;
    const after = await unfinished();
    assert.deepEqual([after?.at, after?.done], [before?.at, before?.done]);
    await sweepAll();
    assert.equal(events.length, 1);
  });

  it('A change that outlasts its lease sets the not-before to its end, even if another node took over', async () => {
    const { revocations, stop, resume, untilStopped } = stoppableNode();
    const made: PromiseWithResolvers<void> = Promise.withResolvers();
    const revoked = revocations.revoke({ what: 'client', client: 'shop' }, 'client-disabled', () => {
      stop();
      return made.promise;
    });
    await untilStopped();
    node();
    clock.advance(LEASE);
    await until(async () => (await unfinished())?.isTold === true);
    clock.advance(0.5);
    const changedAt = clock.now();
    made.resolve();
    resume();
    await revoked;
    assert.equal((await unfinished())?.at, changedAt);
    await sweepAll();
    assert.equal(await latestNotBefore(grants, { client: 'shop' }), changedAt);
  });

  it('A node keeps the lease on a revocation while its change takes long', async () => {
    const made: PromiseWithResolvers<void> = Promise.withResolvers();
    const revoked = node().revoke({ what: 'client', client: 'shop' }, 'client-disabled', () => made.promise);
    await until(async () => (await unfinished()) !== undefined);
    node();
    for (let renewals = 0; renewals < 3; renewals += 1) {
      clock.advance(LEASE / 2);
      // Also where another node has claimed it.
      await until(async () => ((await unfinished())?.dueAt ?? 0) > clock.now() + 2000);
    }
    assert.equal((await unfinished())?.isPending, true);
    made.resolve();
    await revoked;
    await until(() => events.length === 1);
    assert.ok(!(await unfinished())?.isBrokenOff);
  });
});
