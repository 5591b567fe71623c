import { AsyncLocalStorage } from 'node:async_hooks';
import http, { type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import { Agent, buildConnector, Dispatcher, getGlobalDispatcher, setGlobalDispatcher } from 'undici';

interface Attached {
  /** For `node:http`. */
  port: number;
  /** For `fetch`. */
  agent: Agent;
}

/** Who is attached to a port of this machine: by the asynchronous context, which timers inherit too. */
const attached = new AsyncLocalStorage<Attached>();

/** Leads `fetch` of who is attached to their port, with connections of their own. */
class Switchboard extends Dispatcher {
  readonly #others: Dispatcher;

  constructor(others: Dispatcher) {
    super();
    this.#others = others;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return (attached.getStore()?.agent ?? this.#others).dispatch(options, handler);
  }
}

/** The same for `node:http`. */
class SwitchedAgent extends http.Agent {
  override createConnection(options: ClientRequestArgs, callback?: (error: Error | null, stream: Duplex) => void) {
    const port = attached.getStore()?.port;
    return super.createConnection(port === undefined ? options : { ...options, host: '127.0.0.1', port }, callback);
  }
}

let isReady = false;
function makeReady(): void {
  if (isReady) return;
  setGlobalDispatcher(new Switchboard(getGlobalDispatcher()));
  http.globalAgent = new SwitchedAgent({ keepAlive: true });
  isReady = true;
}

/** Somebody who reaches one port of this machine at whatever address: one of several nodes, or the network before it. */
export interface Attachment {
  /** Does something whose requests go there, now and later. */
  run<T>(work: () => T): T;
  close(): Promise<void>;
}

/** @param httpPort where requests by `node:http` go instead */
export function attachTo(port: number, httpPort = port): Attachment {
  makeReady();
  const connect = buildConnector({});
  const agent = new Agent({
    connect: (options, callback) => {
      connect({ ...options, hostname: '127.0.0.1', port: String(port) }, callback);
    },
  });
  return { run: (work) => attached.run({ port: httpPort, agent }, work), close: () => agent.destroy() };
}
