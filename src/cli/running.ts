/** Something with a life: a server, the demo beside it, a set of worker processes. */
export interface Running {
  /** Announces the end and serves on, so that proxies send requests elsewhere. */
  leave(): void;
  /** Lets what has begun end, and ends. */
  close(): Promise<void>;
  /** Ends whatever has begun. */
  closeNow(): void;
  /** Reads again what another program may have renewed. */
  reload(): void;
}

/** Several as one: the last to start is the first to stop. */
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
