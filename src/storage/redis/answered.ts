import { StoreUnavailable } from '../store.ts';

/** How long a command may take in all, in milliseconds, waiting for a connection included. */
export const PATIENCE = 2000;

/**
 * Refusals that say the server cannot serve now: of a primary that has become a replica too, at WAIT or while it was
 * waiting (UNBLOCKED). Any other is a fault of ours.
 */
const OUTAGES = [
  /^(ASK|BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|MOVED|NOAUTH|NOPERM|NOREPLICAS|OOM|READONLY|TRYAGAIN|WRONGPASS)\b/,
  /^UNBLOCKED\b/,
  /^ERR (WAIT cannot be used with replica|max number of clients reached)/,
];

/**
 * Waits for Redis's answer, for a bounded time. A command is never sent twice: one whose answer was lost may have been
 * done, and a second `consume` would call its own first one a replay.
 * @throws StoreUnavailable when Redis is away, too slow, or cannot serve
 */
export async function answered<T>(reply: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new StoreUnavailable(`Redis has not answered within ${PATIENCE} ms`));
    }, PATIENCE);
  });
  try {
    return await Promise.race([reply, late]);
  } catch (error) {
    throw isOutage(error) ? new StoreUnavailable(`Redis: ${error.message}`, { cause: error }) : withoutCommand(error);
  } finally {
    clearTimeout(timer);
  }
}

/** The client hangs the command on a refusal, values and all; the error may end in a log. */
function withoutCommand(error: unknown): unknown {
  if (error instanceof Error) Reflect.deleteProperty(error, 'command');
  return error;
}

function isOutage(error: unknown): error is Error {
  if (!(error instanceof Error) || error instanceof StoreUnavailable) return false;
  return error.name !== 'ReplyError' || OUTAGES.some((outage) => outage.test(error.message));
}
