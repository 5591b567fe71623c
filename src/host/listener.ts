import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
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
/** How long a client that has connected may still take to ask something once the drain has begun. */
const SILENCE = 1000;
/** Longer than load balancers keep idle connections, so that they are the ones who close. */
const KEEP_ALIVE = 65_000;

/**
 * Listens at the port of the configuration and, where client certificates come from connections of its own, at a second
 * one that asks for them, so that browsers at the first never do.
 * @throws the system's error (`EADDRINUSE`, `EACCES`, …) when an address cannot be listened on
 */
export async function listen(settings: Config['listen'], handler: Handler): Promise<Listener> {
  const { host, port, tls, client_certificates: certificates } = settings;
  const options = { requestTimeout: REQUEST_TIMEOUT, keepAliveTimeout: KEEP_ALIVE };
  if (tls === undefined) return open(createServer(options), handler, host, port);
  const secure = { ...options, cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
  const main = await open(createTlsServer(secure), handler, host, port);
  if (certificates?.port === undefined) return main;
  // Whether a certificate is good enough depends on the client that shows it.
  const asking = createTlsServer({ ...secure, requestCert: true, rejectUnauthorized: false });
  try {
    return both(main, await open(asking, handler, host, certificates.port));
  } catch (error) {
    main.stop();
    throw error;
  }
}

async function open(server: Server, handler: Handler, host: string, port: number): Promise<Listener> {
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

function both(main: Listener, asking: Listener): Listener {
  return {
    port: main.port,
    drain: async () => {
      await Promise.all([main.drain(), asking.drain()]);
    },
    stop: () => {
      main.stop();
      asking.stop();
    },
  };
}

/** Hands requests to the handler. @returns the drain; Node's own `close` leaves open what falls idle after it */
function serve(server: Server, handler: Handler): Listener['drain'] {
  const answers = new Set<ServerResponse>();
  /** Connections that clients made ahead, and have asked nothing on: Node would wait for them. */
  const silent = new Set<Socket>();
  let isDraining = false;
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  server.on('request', (request, response) => {
    silent.delete(request.socket);
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
    setTimeout(() => {
      for (const socket of silent) socket.destroy();
    }, SILENCE).unref();
    for (const answer of answers) if (!answer.headersSent) answer.setHeader('Connection', 'close');
    return new Promise((resolve) => {
      server.close(() => resolve());
    });
  };
}
