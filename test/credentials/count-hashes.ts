import { createHook } from 'node:async_hooks';

/** The name under which the argon2 package gives its work to the thread pool. */
const HASH = 'argon2:HashWorker';

/** Does the work and says how many password hashes it took, and how many of them were under way at the same time. */
export async function countHashes(work: () => Promise<unknown>): Promise<{ hashes: number; atOnce: number }> {
  const running = new Set<number>();
  let hashes = 0;
  let atOnce = 0;
  const hook = createHook({
    init(id, type) {
      if (type !== HASH) return;
      running.add(id);
      hashes += 1;
      atOnce = Math.max(atOnce, running.size);
    },
    before(id) {
      running.delete(id);
    },
  });
  hook.enable();
  try {
    await work();
  } finally {
    hook.disable();
  }
  return { hashes, atOnce };
}
