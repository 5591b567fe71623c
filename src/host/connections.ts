import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as TlsServer } from 'node:https';
import { Server as NetServer, type Socket } from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Milliseconds for which a silent connection may still send a request once the drain has begun. */
const SILENCE = 1000;
/** In milliseconds: long enough for a loaded proxy to use each of its pooled connections. */
const POOLED = 1000;
const MOST_TURNS = 1000;

/** Closes one server's connections without losing a request. */
export class Connections {
  readonly #server: Server;
  readonly #answers = new Set<ServerResponse>();
  /** Connections on which the client has sent no request yet. Node would wait for them. */
  readonly #silent = new Set<Socket>();
  /** Connections to a TLS port before the handshake, by their remote end. */
  readonly #unshaken = new Map<string, Socket>();
  #accepted = 0;
  #isLeaving = false;
  #isDraining = false;

  /** Passes requests to the handler. */
  constructor(server: Server, handler: Handler) {
    this.#server = server;
    const isTls = server instanceof TlsServer;
    server.on('connection', (socket: Socket) => {
      this.#accepted += 1;
      if (isTls) this.#awaitHandshake(socket);
    });
    server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.#unshaken.delete(remoteEnd(socket));
      this.#silent.add(socket);
      socket.once('close', () => this.#silent.delete(socket));
    });
    server.on('request', (request, response) => {
      this.#silent.delete(request.socket);
      this.#answers.add(response);
      response.once('close', () => {
        this.#answers.delete(response);
        // Node's `close` leaves connections open that become idle after it.
        if (this.#isDraining) server.closeIdleConnections();
      });
      if (this.#isLeaving) response.setHeader('Connection', 'close');
      handler(request, response);
    });
  }

  /** Node creates another socket after the handshake. */
  #awaitHandshake(socket: Socket): void {
    const end = remoteEnd(socket);
    this.#unshaken.set(end, socket);
    socket.once('close', () => {
      if (this.#unshaken.get(end) === socket) this.#unshaken.delete(end);
    });
  }

  /**
   * Closes each connection with its next answer, but accepts new ones. A proxy that reads `Connection: close` sends no
   * further request on it, while closing between two answers could cut off a request on its way.
   */
  leave(): void {
    this.#isLeaving = true;
    for (const answer of this.#answers) if (!answer.headersSent) answer.setHeader('Connection', 'close');
  }

  /** Accepts no new connections, finishes open requests, and closes connections as they become idle. */
  drain(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.once('close', () => resolve()));
    if (this.#isLeaving) void this.#closePort().then(() => this.#closeIdle());
    else {
      this.#server.close();
      this.leave();
      this.#closeIdle();
    }
    return closed;
  }

  /**
   * Closes the port for proxies without a health check, which still send requests. The system resets connections that
   * wait to be accepted, so proxies may reuse connections for a moment and must open no new ones.
   */
  async #closePort(): Promise<void> {
    this.#isLeaving = false;
    await sleep(POOLED);
    for (let turns = 0, before = -1; turns < MOST_TURNS && before !== this.#accepted; turns += 1) {
      before = this.#accepted;
      await turn();
    }
    // The `close` of an HTTP server would close idle connections too.
    NetServer.prototype.close.call(this.#server);
    this.leave();
    await sleep(POOLED);
  }

  #closeIdle(): void {
    this.#isDraining = true;
    this.#server.closeIdleConnections();
    setTimeout(() => {
      for (const socket of [...this.#silent, ...this.#unshaken.values()]) socket.destroy();
    }, SILENCE).unref();
  }
}

function remoteEnd({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
