/** So many at once: enough for a slow store not to be waited for one by one, too few to keep others from it. */
const AT_ONCE = 50;

/** Does something with each of them, many at once. @throws the first failure, once all that had begun are over */
export async function forEachAtOnce<T>(
  items: AsyncIterable<T> | Iterable<T>,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  try {
    for await (const item of items) {
      if (running.size >= AT_ONCE) await Promise.race(running);
      if (failures.length > 0) break;
      const one: Promise<void> = work(item)
        .then(() => undefined)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => running.delete(one));
      running.add(one);
    }
  } catch (error) {
    failures.push(error);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
