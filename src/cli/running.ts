/** Something that runs until it is closed: a server, the demo beside it, a set of worker processes. */
export interface Running {
  /** Announces the shutdown but still serves, so that proxies send requests elsewhere. */
  leave(): void;
  /** Finishes open requests, then closes. */
  close(): Promise<void>;
  /** Closes at once and aborts open requests. */
  closeNow(): void;
  /** Reloads files that another program may have renewed. */
  reload(): void;
}

/** Combines several into one: the last to start is the first to stop. */
export function together(parts: readonly Running[]): Running {
  const stopping = parts.toReversed();
  return {
    leave() {
      for (const part of stopping) part.leave();
    },
    async close() {
      for (const part of stopping) await part.close();
    },
    closeNow() {
      for (const part of stopping) part.closeNow();
    },
    reload() {
      for (const part of parts) part.reload();
    },
  };
}
