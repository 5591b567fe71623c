import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Config } from '../config/schema.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface Listener {
  readonly port: number;
  /** Takes no new connection, lets what has begun end, and closes connections as they fall idle. */
  drain(): Promise<void>;
  /** Cuts every connection. */
  stop(): void;
}

/** A request must arrive whole within this; slower ones are held open on purpose. */
const REQUEST_TIMEOUT = 30_000;
/** Longer than load balancers keep idle connections, so that they are the ones who close. */
const KEEP_ALIVE = 65_000;

/** @throws the system's error (`EADDRINUSE`, `EACCES`, …) when the address cannot be listened on */
export async function listen({ host, port, tls }: Config['listen'], handler: Handler): Promise<Listener> {
  const options = { requestTimeout: REQUEST_TIMEOUT, keepAliveTimeout: KEEP_ALIVE };
  const server: Server =
    tls === undefined
      ? createServer(options)
      : createTlsServer({ ...options, cert: readFileSync(tls.cert), key: readFileSync(tls.key) });
  const drain = serve(server, handler);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    drain,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Hands requests to the handler. @returns the drain; Node's own `close` leaves open what falls idle after it */
function serve(server: Server, handler: Handler): Listener['drain'] {
  const answers = new Set<ServerResponse>();
  let isDraining = false;
  server.on('request', (request, response) => {
    answers.add(response);
    response.once('close', () => {
      answers.delete(response);
      if (isDraining) server.closeIdleConnections();
    });
    if (isDraining) response.setHeader('Connection', 'close');
    handler(request, response);
  });
  return () => {
    isDraining = true;
    for (const answer of answers) if (!answer.headersSent) answer.setHeader('Connection', 'close');
    return new Promise((resolve) => {
      server.close(() => resolve());
    });
  };
}
