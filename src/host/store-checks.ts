import type { Logger } from 'pino';
import { newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import { clockWarnings, within, type SharedClock } from '../lib/clock.ts';
import type { StoreFormat } from '../storage/format.ts';
import { keyspace, StoreUnavailable, type Key, type Store, type Stored } from '../storage/store.ts';

/** Record that a node writes to test whether the store accepts writes. */
interface Probe {
  at: number;
  /** The newest store format that the node reads, so that no upgrade begins while an older node serves. */
  reads: number;
}

/** Record by which a node detects that its store was emptied or replaced. */
interface Marker {
  id: string;
}

const probeKey: (node: string) => Key<Probe> = keyspace<Probe>('readiness');
const markerKey: Key<Marker> = keyspace<Marker>('store-marker')('main');

/** Milliseconds for which the result of a check is reused, to limit test writes. */
const PERIOD = 1000;
/** Milliseconds between the checks that run even if nobody requests `/readyz`. */
const BACKGROUND_PERIOD = 10_000;
/** Milliseconds after which a check fails, so that a hanging store is noticed. */
const PATIENCE = 2000;
const PROBE_LIFE = 60;
/** Lifetime of the marker in seconds in a store for grants alone. In a store for records it never expires. */
const MARKER_LIFE = 30 * 86_400;
/** Milliseconds for which a loss of data is reported. */
const LOSS_REPORTED_FOR = 3_600_000;

export type StoreFault = 'store unavailable' | 'clock differs';

/** Report for `/readyz`. */
interface StoreReport {
  fault: StoreFault | undefined;
  /** The roles whose store came back without its data: `grants` for an hour, `records` until they are restored. */
  lost: string[];
}

interface StoreChecksDependencies {
  stores: {
    records: Store;
    grants: Store;
    format: StoreFormat;
    clock: SharedClock;
    measureClock(): Promise<void>;
  };
  log: Logger;
  random: Random;
  /** Largest allowed difference between this machine's clock and the store's, in seconds. */
  clockSkew: number;
}

interface CheckedStore {
  role: 'records' | 'grants';
  store: Store;
  marker?: string;
  lostAt?: number;
  problem?: string;
}

/** Checks that the stores take writes, still hold their data, and agree with this machine on the time. */
export class StoreChecks {
  readonly #dependencies: StoreChecksDependencies;
  readonly #node: string;
  readonly #checked: CheckedStore[];
  #timer: NodeJS.Timeout | undefined;
  #last: { report: Promise<StoreReport>; at: number } | undefined;
  #clockWarnings: string[] = [];

  constructor(dependencies: StoreChecksDependencies) {
    this.#dependencies = dependencies;
    const { records, grants, clock } = dependencies.stores;
    this.#node = newId('node', clock, dependencies.random);
    this.#checked = [{ role: 'records', store: records }];
    if (grants !== records) this.#checked.push({ role: 'grants', store: grants });
    this.#clockWarnings = clockWarnings(clock);
  }

  /** Starts periodic checks. */
  async begin(): Promise<void> {
    await this.report();
    this.#timer = setInterval(() => void this.report(), BACKGROUND_PERIOD).unref();
  }

  /** Returns the latest report. Requests within a second share one check. */
  report(): Promise<StoreReport> {
    const now = performance.now();
    if (this.#last === undefined || now - this.#last.at >= PERIOD) this.#last = { report: this.#check(), at: now };
    return this.#last.report;
  }

  /** Stops the periodic checks, and waits for a check that has begun. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#last?.report;
  }

  async #check(): Promise<StoreReport> {
    const problems = await Promise.all([...this.#checked.map((one) => this.#checkStore(one)), this.#checkClock()]);
    const now = performance.now();
    const lost = this.#checked
      .filter(({ lostAt = -Infinity }) => now - lostAt < LOSS_REPORTED_FOR)
      .map(({ role }) => role);
    return { fault: problems.find((problem) => problem !== undefined), lost };
  }

  async #checkStore(checked: CheckedStore): Promise<StoreFault | undefined> {
    const problem = await within(PATIENCE, this.#use(checked), noAnswer).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    const { role } = checked;
    if (problem !== undefined && checked.problem === undefined) {
      this.#dependencies.log.error(
        { store: role, reason: problem },
        `the store for ${role} cannot be used: ${problem}`,
      );
    }
    if (problem === undefined && checked.problem !== undefined) {
      this.#dependencies.log.warn({ store: role }, `the store for ${role} can be used again`);
    }
    if (problem === undefined) delete checked.problem;
    else checked.problem = problem;
    return problem === undefined ? undefined : 'store unavailable';
  }

  async #use(checked: CheckedStore): Promise<void> {
    const { store } = checked;
    const { clock, format } = this.#dependencies.stores;
    await Promise.all([
      store.health(),
      store.set(probeKey(this.#node), { at: clock.now(), reads: format.newest }, { ttl: PROBE_LIFE }),
      // A newer version may have upgraded the store.
      format.current(),
      this.#compareMarker(checked),
    ]);
  }

  /** Compares the marker with the one that this node found first. If it is gone or replaced, so is all other data. */
  async #compareMarker(checked: CheckedStore): Promise<void> {
    const { store, role, marker: known } = checked;
    const found = await store.get(markerKey);
    if (known === undefined) {
      checked.marker = found?.value.id ?? (await this.#mark(checked));
    } else if (found?.value.id === known) {
      if (role === 'records') delete checked.lostAt;
      else await renewMarker(store, found, this.#dependencies.stores.clock.now());
    } else {
      this.#reportLoss(checked);
      // Records may be restored with the old marker. Lost grants cannot, so the new marker counts from now on.
      if (role === 'grants') checked.marker = found?.value.id ?? (await this.#mark(checked));
    }
  }

  #reportLoss(checked: CheckedStore): void {
    const isKnown = checked.role === 'records' && checked.lostAt !== undefined;
    checked.lostAt = performance.now();
    if (isKnown) return;
    this.#dependencies.log.error(
      { store: checked.role },
      `the store for ${checked.role} has lost its data: it was emptied or replaced. ` +
        'Restore it from a backup, or restart every server to continue with the present data',
    );
  }

  /** Marks the store. @returns its marker: this node's, or the one that another node wrote first */
  async #mark({ store, role }: CheckedStore): Promise<string> {
    const id = newId('store', this.#dependencies.stores.clock, this.#dependencies.random);
    const life = role === 'grants' ? { ttl: MARKER_LIFE } : {};
    if (await store.create(markerKey, { id }, life)) return id;
    return (await store.get(markerKey))?.value.id ?? id;
  }

  async #checkClock(): Promise<StoreFault | undefined> {
    const { stores, log, clockSkew } = this.#dependencies;
    // A store that does not answer is reported separately.
    await within(PATIENCE, stores.measureClock(), noAnswer).catch(() => undefined);
    const warnings = clockWarnings(stores.clock);
    const isTooFarOff = Math.abs(stores.clock.ahead) > clockSkew * 1000;
    if (warnings.length > 0 && this.#clockWarnings.length === 0) log.warn(warnings[0]);
    this.#clockWarnings = warnings;
    return isTooFarOff ? 'clock differs' : undefined;
  }
}

/** Renews the marker after half of its lifetime, so that it stays for as long as a node uses the store. */
async function renewMarker(store: Store, found: Stored<Marker>, now: number): Promise<void> {
  const { value, version, expiresAt = Infinity } = found;
  if (expiresAt - now < MARKER_LIFE * 500) await store.replace(markerKey, value, version, { ttl: MARKER_LIFE });
}

function noAnswer(): StoreUnavailable {
  return new StoreUnavailable(`no answer within ${PATIENCE} ms`);
}
