import type { Clock } from '../../lib/clock.ts';
import type { Primary } from './primary.ts';
import type { Statement } from './statements.ts';

/** Rows for each statement: few enough to hold the locks for milliseconds only. */
const BATCH = 1000;
/** Milliseconds until the next sweep: after one that found little, and after one that found a full batch. */
const IDLE = 10_000;
const BACKLOG = 50;

/**
 * Deletes expired rows in the background. Concurrent nodes skip each other's rows.
 * @returns a function that stops it
 */
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

/** Deletes one batch of rows that had expired by `now`. @returns whether there may be more */
async function sweep(primary: Primary, sweeps: readonly Statement[], now: number): Promise<boolean> {
  try {
    let isBacklog = false;
    for (const statement of sweeps) {
      const { changed } = await primary.run(statement, [now, BATCH]);
      isBacklog ||= changed === BATCH;
    }
    return isBacklog;
  } catch {
    // Expired rows count as absent until the next sweep. `health` reports a broken server.
    return false;
  }
}
