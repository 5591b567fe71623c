/** Something with a life: a server, the demo beside it, a set of worker processes. */
export interface Running {
  /** Lets what has begun end, and ends. */
  close(): Promise<void>;
  /** Ends whatever has begun. */
  closeNow(): void;
}

/** Several as one: the last to start is the first to stop. */
export function together(parts: readonly Running[]): Running {
  const stopping = parts.toReversed();
  return {
    async close() {
      for (const part of stopping) await part.close();
    },
    closeNow() {
      for (const part of stopping) part.closeNow();
    },
  };
}
