import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { ResponseReader } from './raw-connection.ts';

/**
 * Stands between apps and nodes. Of the responses that the nodes have given, every so-manieth is dropped and its
 * connection cut: the app cannot know whether its request was done. Each new connection leads to the next node.
 */
export class LossyProxy {
  /** How many responses were dropped. */
  dropped = 0;
  /** Every refresh token that left a node, whether or not it arrived. */
  readonly refreshTokens = new Set<string>();
  readonly #server = createServer({ noDelay: true }, (app) => {
    this.#join(app);
  });
  readonly #ports: readonly number[];
  readonly #every: number;
  #connections = 0;
  #responses = 0;

  constructor(ports: readonly number[], every: number) {
    this.#ports = ports;
    this.#every = every;
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(app: Socket): void {
    const port = this.#ports[this.#connections++ % this.#ports.length] ?? 0;
    const node = connect({ port, host: '127.0.0.1', noDelay: true });
    const cut = (): void => {
      app.destroy();
      node.destroy();
    };
    const reader = new ResponseReader();
    app.on('data', (piece) => node.write(piece));
    node.on('data', (piece) => {
      const response = reader.push(piece);
      if (response === undefined) return;
      this.#note(response.toString('utf8'));
      if (++this.#responses % this.#every !== 0) app.write(response);
      else {
        this.dropped += 1;
        cut();
      }
    });
    for (const socket of [app, node]) socket.on('error', cut).on('close', cut);
  }

  #note(response: string): void {
    const token = /"refresh_token":"([^"]+)"/.exec(response)?.[1];
    if (token !== undefined) this.refreshTokens.add(token);
  }
}
