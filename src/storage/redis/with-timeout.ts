import { within } from '../../lib/clock.ts';
import { StoreUnavailable } from '../store.ts';

/** Longest total duration of a command in milliseconds, including the wait for a connection. */
export const PATIENCE = 2000;

/**
 * Redis errors that mean "unavailable now". They include those of a primary that was demoted at WAIT or while it
 * waited (UNBLOCKED). Any other error is a bug of this program.
 */
const OUTAGES = [
  /^(ASK|BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|MOVED|NOAUTH|NOPERM|NOREPLICAS|OOM|READONLY|TRYAGAIN|WRONGPASS)\b/,
  /^UNBLOCKED\b/,
  /^ERR (WAIT cannot be used with replica|max number of clients reached)/,
];

/**
 * Waits a bounded time for a reply of Redis. A command is never sent twice: it may have run although its reply was
 * lost, and a second `consume` would take the first for a replay.
 * @throws StoreUnavailable when Redis is away, too slow, or cannot serve
 */
export async function withTimeout<T>(reply: Promise<T>): Promise<T> {
  const late = (): Error => new StoreUnavailable(`Redis has not answered within ${PATIENCE} ms`);
  try {
    return await within(PATIENCE, reply, late);
  } catch (error) {
    throw isOutage(error) ? new StoreUnavailable(`Redis: ${error.message}`, { cause: error }) : withoutCommand(error);
  }
}

/** Removes the command that the client attaches to an error: its values are secret, and the error may be logged. */
function withoutCommand(error: unknown): unknown {
  if (error instanceof Error) Reflect.deleteProperty(error, 'command');
  return error;
}

function isOutage(error: unknown): error is Error {
  if (!(error instanceof Error) || error instanceof StoreUnavailable) return false;
  return error.name !== 'ReplyError' || OUTAGES.some((outage) => outage.test(error.message));
}
