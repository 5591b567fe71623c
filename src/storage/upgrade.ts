import { FOLLOWED_AFTER, formatsOf, raiseFormat } from './format.ts';
import { keyspace, type Key, type Store, type Stored } from './store.ts';

/** The way from one format to the next. */
export interface UpgradeStep<Context> {
  /** The format that the step leads to: one more than that of the step before. */
  to: number;
  /** The effect on the store, for the operator: `seals names and addresses`. */
  what: string;
  /**
   * Converts the existing records, and yields after each few of them. Every node already writes the new format.
   * Servers write meanwhile, so a record is converted by `replace` and read again if that fails. A record may be converted
   * already, by a node or by an interrupted run. The step is repeated until a whole pass has changed nothing.
   * @param after the last position that an interrupted run yielded
   */
  convert(context: Context, after: string | undefined): AsyncIterable<Converted>;
}

interface Converted {
  /** A position to continue from. */
  position: string;
  /** The number of records that were read since the previous position. */
  records: number;
  /** The number of records among these that were changed. */
  changed: number;
}

/** The progress of an upgrade, and the right of one process to continue it. It is neither copied nor restored. */
interface Upgrade {
  to: number;
  position?: string;
  records: number;
  /** Time of the latest report that the process is alive, by the store's clock; 0 once it has given up. */
  aliveAt: number;
}

const upgradeKey: Key<Upgrade> = keyspace<Upgrade>('store-upgrade')('main');

/** Milliseconds between two reports that the process is alive. */
const PERIOD = 1000;
/** Milliseconds without a report after which another process may continue. */
const SILENT = 20_000;

class UpgradeBusy extends Error {
  override name = 'UpgradeBusy';
}

export interface UpgradeOptions<Context> {
  records: Store;
  steps: readonly UpgradeStep<Context>[];
  context: Context;
  /** Waits for some milliseconds. */
  pause: (milliseconds: number) => Promise<unknown>;
  /** Receives what the process does now, and the number of records that the step has read. */
  told: (doing: string, records: number) => void;
}

/**
 * Brings a store to the format of the last step, while servers use it. An interrupted upgrade continues where it was. A
 * store that has the format already is converted once more, in case it has lost or kept a record since.
 * @returns the number of changed records
 * @throws UpgradeBusy if another process does it, or has taken over because this one was stopped for too long
 */
export async function upgradeStore<Context>(options: UpgradeOptions<Context>): Promise<number> {
  const { records, steps } = options;
  const claim = await Claim.begin(records);
  try {
    const { oldest } = await formatsOf(records);
    const missing = steps.filter(({ to }) => to > oldest);
    let changed = 0;
    for (const step of missing.length > 0 ? missing : steps) changed += await runStep(step, claim, options);
    await claim.end();
    return changed;
  } catch (error) {
    await claim.giveUp().catch(() => undefined);
    throw error;
  }
}

async function runStep<Context>(
  step: UpgradeStep<Context>,
  claim: Claim,
  { records, context, pause, told }: UpgradeOptions<Context>,
): Promise<number> {
  const { to } = step;
  const followed = async (part: 'reads' | 'writes'): Promise<void> => {
    await raiseFormat(records, part, to);
    for (let waited = 0; waited < FOLLOWED_AFTER; waited += PERIOD) {
      told(`waiting until every node ${part} format ${to}`, 0);
      await pause(PERIOD);
      await claim.renew();
    }
  };
  const { position, records: before } = await claim.startStep(to);
  if (position === undefined && (await formatsOf(records)).oldest < to) {
    // Each node looks for the new format before the first node writes it.
    await followed('reads');
    await followed('writes');
  }
  let [count, changed] = [before, 0];
  for (let after = position, isUnchanged = false; !isUnchanged; after = undefined) {
    const [isFirst, unchanged] = [count === before, changed];
    for await (const converted of step.convert(context, after)) {
      count += converted.records;
      changed += converted.changed;
      told(isFirst ? step.what : `${step.what}, once more`, count);
      await claim.renew({ position: converted.position, records: count });
    }
    isUnchanged = after === undefined && changed === unchanged;
  }
  await claim.renew();
  await raiseFormat(records, 'oldest', to);
  told(`${step.what}, done`, count);
  return changed;
}

/** The right of one process to upgrade the store. */
class Claim {
  readonly #store: Store;
  #stored: Stored<Upgrade>;
  /** Progress that is not stored yet. */
  #progress: Partial<Upgrade> = {};
  #renewedAt = -Infinity;

  private constructor(store: Store, stored: Stored<Upgrade>) {
    this.#store = store;
    this.#stored = stored;
  }

  static async begin(store: Store): Promise<Claim> {
    const aliveAt = await store.time();
    const found = await store.get(upgradeKey);
    // A later time means that the clock was set back. The process that holds the claim soon reports by the new time.
    if (found !== undefined && Math.abs(aliveAt - found.value.aliveAt) < SILENT) {
      throw new UpgradeBusy(
        `another process upgrades the store, or was stopped less than ${SILENT / 1000} s ago: wait until it ends, ` +
          'or stop it and run this again later',
      );
    }
    const value: Upgrade = { to: 0, records: 0, ...found?.value, aliveAt };
    const isFirst = await (found === undefined
      ? store.create(upgradeKey, value)
      : store.replace(upgradeKey, value, found.version));
    const stored = await store.get(upgradeKey);
    if (!isFirst || stored === undefined) throw new UpgradeBusy('another process has just begun to upgrade the store');
    return new Claim(store, stored);
  }

  /** @returns the progress of an interrupted run on the same step */
  async startStep(to: number): Promise<Pick<Upgrade, 'position' | 'records'>> {
    this.#progress = {};
    if (this.#stored.value.to !== to) await this.#write({ to, records: 0, aliveAt: await this.#store.time() });
    return this.#stored.value;
  }

  /** Reports that this process is alive, with its progress, unless it has just done so. @throws UpgradeBusy */
  async renew(progress: Partial<Upgrade> = {}): Promise<void> {
    this.#progress = { ...this.#progress, ...progress };
    if (performance.now() - this.#renewedAt < PERIOD) return;
    await this.#write({ ...this.#stored.value, ...this.#progress, aliveAt: await this.#store.time() });
  }

  /** Lets the next process continue at once. */
  async giveUp(): Promise<void> {
    await this.#write({ ...this.#stored.value, ...this.#progress, aliveAt: 0 });
  }

  async end(): Promise<void> {
    await this.#write({ ...this.#stored.value, aliveAt: await this.#store.time() });
    await this.#store.delete(upgradeKey);
  }

  async #write(value: Upgrade): Promise<void> {
    if (!(await this.#store.replace(upgradeKey, value, this.#stored.version))) {
      throw new UpgradeBusy('this process was stopped for too long: another one upgrades the store now');
    }
    this.#stored = { ...this.#stored, value, version: this.#stored.version + 1 };
    this.#renewedAt = performance.now();
  }
}
