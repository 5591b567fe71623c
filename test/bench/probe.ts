/**
 * Loaded into a measured process before its own code (`node --import`): answers its parent's question for what it has
 * used so far. Round trips are counted at the drivers, so none is missed; a count costs some nanoseconds.
 */
import { StatementSync, type SQLInputValue } from 'node:sqlite';

/** What a process has used since it began. */
export interface Usage {
  /** User and system time of all its threads, in microseconds. */
  cpu: number;
  /** Resident memory, in bytes. */
  rss: number;
  /** Round trips to the store. */
  reads: number;
  writes: number;
}

type Trip = 'reads' | 'writes';

export const trips: Record<Trip, number> = { reads: 0, writes: 0 };
const kinds = new WeakMap<StatementSync, Trip>();

function kindOf(statement: StatementSync): Trip {
  return /^\s*SELECT/.test(statement.sourceSQL) ? 'reads' : 'writes';
}

// The server runs as it is, so its methods are wrapped where they are: on the prototypes.
/* eslint-disable @typescript-eslint/unbound-method */
for (const name of ['get', 'all', 'run'] as const) {
  const original: (this: StatementSync, ...values: SQLInputValue[]) => unknown = StatementSync.prototype[name];
  const counted = function (this: StatementSync, ...values: SQLInputValue[]): unknown {
    const kind = kinds.get(this) ?? kindOf(this);
    kinds.set(this, kind);
    trips[kind] += 1;
    return original.apply(this, values);
  };
  Object.assign(StatementSync.prototype, { [name]: counted });
}
/* eslint-enable @typescript-eslint/unbound-method */

process.on('message', (question) => {
  if (question !== 'usage') return;
  const { user, system } = process.cpuUsage();
  process.send?.({ cpu: user + system, rss: process.memoryUsage.rss(), ...trips } satisfies Usage);
});
// A bench that dies leaves nothing behind.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
// The parent's questions keep nobody alive.
process.channel?.unref();
