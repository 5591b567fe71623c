import { EventEmitter, once } from 'node:events';
import { createServer, request, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';

/** Stands at the issuer's address and hands each request to the next node in turn. */
export class LoadBalancer {
  /** How many requests are under way at each node, by its port. */
  readonly #nodes = new Map<number, number>();
  readonly #answered = new EventEmitter();
  readonly #server = createServer((incoming, outgoing) => void this.#handOn(incoming, outgoing));
  /** Put over those of each request, as a proxy does that ends TLS. */
  readonly #headers: OutgoingHttpHeaders;
  #turn = 0;

  constructor(headers: OutgoingHttpHeaders = {}) {
    this.#headers = headers;
  }

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

  /** A client whose address a request names stays at one node for as long as that is there. The others take turns. */
  #nodeFor({ headers }: IncomingMessage): number {
    const ports = [...this.#nodes.keys()].toSorted();
    const address = headers['x-forwarded-for'];
    const turn = typeof address === 'string' ? Number(address.replaceAll(/\D/g, '')) : this.#turn;
    return ports[turn % ports.length] ?? 0;
  }

  async #handOn(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    this.#turn += 1;
    const port = this.#nodeFor(incoming);
    this.#nodes.set(port, (this.#nodes.get(port) ?? 0) + 1);
    try {
      const { method, url } = incoming;
      const headers = { ...incoming.headers, ...this.#headers };
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
