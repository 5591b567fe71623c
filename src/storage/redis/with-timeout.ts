import { within } from '../../lib/clock.ts';
import { StoreUnavailable } from '../store.ts';

/** Longest total duration of a command in milliseconds, including the wait for a connection. */
export const PATIENCE = 2000;

/**
 * Redis errors that mean "unavailable now". They include the errors of a primary that is demoted before or during WAIT
 * (UNBLOCKED). Any other error is a bug of this program.
 */
const OUTAGES = [
  /^(ASK|BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|MOVED|NOAUTH|NOPERM|NOREPLICAS|OOM|READONLY|TRYAGAIN|WRONGPASS)\b/,
  /^UNBLOCKED\b/,
  /^ERR (WAIT cannot be used with replica|max number of clients reached)/,
];

/**
 * Waits a bounded time for a Redis reply. A command is never sent twice, because it may have run although its reply was
 * lost. A repeated `consume` would then report a replay.
 * @throws StoreUnavailable if Redis is unreachable, too slow, or cannot serve
 */
export async function withTimeout<T>(reply: Promise<T>): Promise<T> {
  const late = (): Error => new StoreUnavailable(`Redis has not answered within ${PATIENCE} ms`);
  try {
    return await within(PATIENCE, reply, late);
  } catch (error) {
    throw isOutage(error) ? new StoreUnavailable(`Redis: ${error.message}`, { cause: error }) : withoutCommand(error);
  }
}

/** Removes the command that the client attaches to an error. Its values are secret, and the error may be logged. */
function withoutCommand(error: unknown): unknown {
  if (error instanceof Error) Reflect.deleteProperty(error, 'command');
  return error;
}

function isOutage(error: unknown): error is Error {
  if (!(error instanceof Error) || error instanceof StoreUnavailable) return false;
  return error.name !== 'ReplyError' || OUTAGES.some((outage) => outage.test(error.message));
}
