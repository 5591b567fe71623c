import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Config } from '../../src/config/schema.ts';
import { freePort } from './free-port.ts';

/** What a node needs to be another one of a server. */
export interface NodeOf {
  directory: string;
  issuer: string;
  /** The store URL that both share. */
  store: string;
  /** Where the records are, if not there. */
  records?: string;
  /** That of both stores. */
  durability?: 'replicated';
  /** These go over the settings, unchecked: keys may turn faster than a configuration may ask for. */
  keys?: Partial<Config['keys']>;
  tokens?: Partial<Config['tokens']>;
  statusLists?: Partial<Config['status_lists']>;
  /** By how many seconds its machine's clock is ahead of the store's, which counts then. */
  ahead?: number;
  /** The port to listen at; another free one without it. */
  at?: number;
}

export interface ServerProcess {
  /** Where this node is reached. */
  readonly url: string;
  close(): Promise<void>;
  /** Moves its machine's clock. */
  travel(seconds: number): void;
  /** Kills, freezes (SIGSTOP) or thaws it (SIGCONT). */
  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
}

/** A node of a test server, in a process of its own. */
export async function startServerProcess(node: NodeOf): Promise<ServerProcess> {
  const port = node.at ?? (await freePort());
  const child = fork(join(import.meta.dirname, 'server-worker.ts'), [JSON.stringify({ ...node, port })]);
  const ended = once(child, 'exit');
  await Promise.race([
    once(child, 'message'),
    ended.then(([code]) => Promise.reject(new Error(`the server process ended with ${String(code)}`))),
  ]);
  return {
    url: `http://localhost:${port}`,
    async close() {
      if (child.connected) child.disconnect();
      await ended;
    },
    travel(seconds) {
      child.send(seconds);
    },
    signal(name) {
      child.kill(name);
    },
  };
}
