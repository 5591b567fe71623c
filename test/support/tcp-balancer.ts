import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Hands each new connection to the next node in turn, as a balancer does before it notices that one of them hangs. */
export class TcpBalancer {
  readonly #ports: readonly number[];
  readonly #open = new Set<Socket>();
  readonly #server = createServer((client) => this.#handOn(client));
  #turn = 0;
  /** The port of the node that the last stream of events leads to. */
  streamAt: number | undefined;

  constructor(nodes: readonly { url: string }[]) {
    this.#ports = nodes.map(({ url }) => Number(new URL(url).port));
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
    await once(this.#server, 'close');
  }

  #handOn(client: Socket): void {
    const port = this.#ports[this.#turn % this.#ports.length] ?? 0;
    this.#turn += 1;
    const node = connect(port, '127.0.0.1');
    client.once('data', (head: Buffer) => {
      if (head.includes('/status/events')) this.streamAt = port;
    });
    for (const [one, other] of [
      [client, node],
      [node, client],
    ] as const) {
      // prettier-ignore
      this.#open.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.once('close', () => {
        this.#open.delete(one);
        other.destroy();
      });
    }
  }
}
