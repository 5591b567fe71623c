import type { Clock } from '../../lib/clock.ts';
import type { Primary } from './primary.ts';
import type { Statement } from './statements.ts';

/** Rows per statement: few, so that its locks are held for milliseconds. */
const BATCH = 1000;
/** Milliseconds from one sweep to the next, when the last one found little and when it found a full batch. */
const IDLE = 10_000;
const BACKLOG = 50;

/** Deletes expired rows in the background; nodes that sweep at once skip each other's rows. @returns the way to stop */
export function startSweeper(primary: Primary, sweeps: readonly Statement[], clock: Clock): () => void {
  let isStopped = false;
  let timer = setTimeout(next, IDLE).unref();

  function next(): void {
    void sweep(primary, sweeps, clock.now()).then((isBacklog) => {
      if (!isStopped) timer = setTimeout(next, isBacklog ? BACKLOG : IDLE).unref();
    });
  }

  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}

/** Deletes one batch of what had expired by `now`. @returns whether there may be more */
async function sweep(primary: Primary, sweeps: readonly Statement[], now: number): Promise<boolean> {
  try {
    let isBacklog = false;
    for (const statement of sweeps) {
      const { changed } = await primary.run(statement, [now, BATCH]);
      isBacklog ||= changed === BATCH;
    }
    return isBacklog;
  } catch {
    // Expired rows read as absent meanwhile, and the next sweep follows; `health` reports a broken server.
    return false;
  }
}
