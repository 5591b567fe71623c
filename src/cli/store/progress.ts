import type { Item } from '../../storage/store.ts';
import { sizeOf } from '../../storage/batches.ts';
import type { Terminal } from '../command.ts';

/** Milliseconds between two printed lines. */
export const REPORT_PERIOD = 2000;

/** Counts items, and prints the sum on standard error every two seconds. */
export class Progress {
  readonly #terminal: Pick<Terminal, 'warn'>;
  readonly #doing: string;
  readonly #startedAt = performance.now();
  #printedAt = this.#startedAt;
  #items = 0;
  #bytes = 0;

  /** @param doing the work, such as `reading` */
  constructor(terminal: Pick<Terminal, 'warn'>, doing: string) {
    this.#terminal = terminal;
    this.#doing = doing;
  }

  add(batch: readonly Item[]): void {
    this.#items += batch.length;
    this.#bytes += batch.reduce((sum, item) => sum + sizeOf(item), 0);
    if (performance.now() - this.#printedAt < REPORT_PERIOD) return;
    this.#printedAt = performance.now();
    this.#print('');
  }

  /** Prints the last line. */
  end(): void {
    this.#print(', done');
  }

  async *of(batches: AsyncIterable<readonly Item[]>): AsyncGenerator<readonly Item[]> {
    for await (const batch of batches) {
      yield batch;
      this.add(batch);
    }
  }

  get items(): number {
    return this.#items;
  }

  #print(suffix: string): void {
    const seconds = Math.round((performance.now() - this.#startedAt) / 1000);
    this.#terminal.warn(
      `latchkey: ${this.#doing}: ${itemsText(this.#items)}, ${sizeText(this.#bytes)}, ${seconds} s${suffix}`,
    );
  }
}

/** Formats a number with commas: `1,234,567`. */
export function numberText(value: number): string {
  return value.toLocaleString('en-US');
}

/** Formats a number of items: `1 item`, `2 items`. */
export function itemsText(count: number): string {
  return `${numberText(count)} ${count === 1 ? 'item' : 'items'}`;
}

/** Formats a number of bytes: `1.5 MiB`. */
export function sizeText(bytes: number): string {
  return bytes < 1_048_576 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1_048_576).toFixed(1)} MiB`;
}
