/** Requests that are held open until their stream has something. */
export interface Waiting {
  /** @returns undefined where too many wait already, or none may any more */
  begin(stream: string): Turn | undefined;
  wake(stream: string): void;
  /** Releases all waiters, and lets nobody wait again. */
  end(): void;
}

interface Turn {
  /** Settles when the stream is woken, after so many milliseconds, or when the caller is gone. */
  until(milliseconds: number, gone: AbortSignal): Promise<void>;
  end(): void;
}

/** On one node; one receiver must not take the connections of all. */
const MOST = 500;
const MOST_OF_STREAM = 5;

export function openWaiting(): Waiting {
  const waiting = new Map<string, Set<() => void>>();
  let total = 0;
  let isOver = false;
  const wake = (stream: string): void => {
    for (const leave of waiting.get(stream) ?? []) leave();
  };
  return {
    wake,
    begin(stream) {
      const others = waiting.get(stream) ?? new Set();
      if (isOver || total >= MOST || others.size >= MOST_OF_STREAM) return undefined;
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const end = (): void => {
        if (!others.delete(end)) return;
        total -= 1;
        if (others.size === 0) waiting.delete(stream);
        resolve(undefined);
      };
      waiting.set(stream, others.add(end));
      total += 1;
      return { end, until: (milliseconds, gone) => untilFirst(promise, milliseconds, gone).finally(end) };
    },
    end() {
      isOver = true;
      for (const stream of [...waiting.keys()]) wake(stream);
    },
  };
}

async function untilFirst(woken: Promise<unknown>, milliseconds: number, gone: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const give = (): void => {
    resolve(undefined);
  };
  const timer = setTimeout(give, milliseconds);
  gone.addEventListener('abort', give);
  await Promise.race([woken, promise]);
  clearTimeout(timer);
  gone.removeEventListener('abort', give);
}
