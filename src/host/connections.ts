import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as TlsServer } from 'node:https';
import { Server as NetServer, type Socket } from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Milliseconds after the start of a drain in which a silent connection may still send a request. */
const SILENCE = 1000;
/** Pause in milliseconds, long enough for a busy proxy to use each of its pooled connections. */
const POOL_PAUSE = 1000;
const MAX_TURNS = 1000;

/** Closes one server's connections without losing a request. */
export class Connections {
  readonly #server: Server;
  readonly #answers = new Set<ServerResponse>();
  /** Connections on which the client has sent no request yet. Node's `close` would wait for them. */
  readonly #silent = new Set<Socket>();
  /** Connections to a TLS port before the handshake, by remote address and port. */
  readonly #beforeHandshake = new Map<string, Socket>();
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
      this.#beforeHandshake.delete(remoteEnd(socket));
      this.#silent.add(socket);
      socket.once('close', () => this.#silent.delete(socket));
    });
    server.on('request', (request, response) => {
      this.#silent.delete(request.socket);
      this.#answers.add(response);
      response.once('close', () => {
        this.#answers.delete(response);
        // Node's `close` does not close connections that become idle later.
        if (this.#isDraining) server.closeIdleConnections();
      });
      if (this.#isLeaving) response.setHeader('Connection', 'close');
      handler(request, response);
    });
  }

  /** Remembers a connection until its TLS handshake, after which Node emits another socket for it. */
  #awaitHandshake(socket: Socket): void {
    const end = remoteEnd(socket);
    this.#beforeHandshake.set(end, socket);
    socket.once('close', () => {
      if (this.#beforeHandshake.get(end) === socket) this.#beforeHandshake.delete(end);
    });
  }

  /**
   * Closes each connection with its next response, but accepts new connections. A proxy that reads `Connection: close`
   * sends no further request on that connection. Closing between two responses could lose a request on its way.
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
   * Closes the port without losing requests of proxies that make no health checks. Closing a port resets connections
   * that wait to be accepted. Responses therefore keep connections open for a moment, so that proxies open no new ones.
   */
  async #closePort(): Promise<void> {
    this.#isLeaving = false;
    await sleep(POOL_PAUSE);
    for (let turns = 0, before = -1; turns < MAX_TURNS && before !== this.#accepted; turns += 1) {
      before = this.#accepted;
      await turn();
    }
    // The `close` of an HTTP server would close idle connections too.
    NetServer.prototype.close.call(this.#server);
    this.leave();
    await sleep(POOL_PAUSE);
  }

  #closeIdle(): void {
    this.#isDraining = true;
    this.#server.closeIdleConnections();
    setTimeout(() => {
      for (const socket of [...this.#silent, ...this.#beforeHandshake.values()]) socket.destroy();
    }, SILENCE).unref();
  }
}

function remoteEnd({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
