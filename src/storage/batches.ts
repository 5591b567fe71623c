import type { Item } from './store.ts';

/** Maximum number of items in a batch. */
const ITEMS = 500;
/** Size of a batch's values in bytes at which the batch ends. */
const BYTES = 1_048_576;

/** Approximate size of an item's value in bytes. */
export function sizeOf(item: Item): number {
  if (item.kind === 'record') return item.json.length;
  return item.kind === 'bitmap' ? item.bits.length : 8;
}

/** Gathers items into batches that are small enough to hold in memory. */
export async function* inBatches(items: AsyncIterable<Item> | Iterable<Item>): AsyncGenerator<readonly Item[]> {
  let batch: Item[] = [];
  let bytes = 0;
  for await (const item of items) {
    batch.push(item);
    bytes += sizeOf(item);
    if (batch.length < ITEMS && bytes < BYTES) continue;
    yield batch;
    [batch, bytes] = [[], 0];
  }
  if (batch.length > 0) yield batch;
}
