import { EventEmitter, once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';

/** Stands at the issuer's address and hands each request to the next node in turn. */
export class LoadBalancer {
  /** How many requests are under way at each node, by its port. */
  readonly #nodes = new Map<number, number>();
  readonly #answered = new EventEmitter();
  readonly #server = createServer((incoming, outgoing) => void this.#handOn(incoming, outgoing));
  #turn = 0;

  async listen(issuer: string): Promise<void> {
    this.#server.listen(Number(new URL(issuer).port), '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  add(node: { url: string }): void {
    this.#nodes.set(portOf(node), 0);
  }

  /** Sends the node no more requests. Resolves when it has answered those that it had. */
  async takeOut(node: { url: string }): Promise<void> {
    let underWay = this.#nodes.get(portOf(node)) ?? 0;
    this.#nodes.delete(portOf(node));
    for (; underWay > 0; underWay -= 1) await once(this.#answered, String(portOf(node)));
  }

  async #handOn(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    this.#turn += 1;
    const ports = [...this.#nodes.keys()];
    const port = ports[this.#turn % ports.length] ?? 0;
    this.#nodes.set(port, (this.#nodes.get(port) ?? 0) + 1);
    try {
      const { method, url, headers } = incoming;
      const onward = request({ host: '127.0.0.1', port, method, path: url, headers, agent: false });
      incoming.pipe(onward);
      const [answer] = (await once(onward, 'response')) as [IncomingMessage];
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
      await once(answer, 'close');
    } catch {
      outgoing.writeHead(502).end();
    } finally {
      const underWay = this.#nodes.get(port);
      if (underWay !== undefined) this.#nodes.set(port, underWay - 1);
      this.#answered.emit(String(port));
    }
  }
}

function portOf({ url }: { url: string }): number {
  return Number(new URL(url).port);
}
