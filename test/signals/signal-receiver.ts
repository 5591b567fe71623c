import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { until } from '../support/until.ts';

/** What a push receiver answers (RFC 8935 §2.3, §2.4). */
export interface PushAnswer {
  status: number;
  body?: object;
}

export interface Arrived {
  readonly token: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly status: number;
}

/** A receiver's endpoint for pushed events, on loopback. */
export interface SignalReceiver {
  /** `host:port`, as the list of allowed destinations has it. */
  readonly host: string;
  readonly url: string;
  /** All that came and was answered, in order, whatever the answer. */
  readonly arrived: Arrived[];
  /** What it answers from now on. */
  answerWith(answer: PushAnswer | ((token: string) => PushAnswer | Promise<PushAnswer>)): void;
  /** Waits until so many have come. */
  whenArrived(count: number): Promise<void>;
  close(): Promise<void>;
}

export async function startSignalReceiver(port = 0): Promise<SignalReceiver> {
  const arrived: Arrived[] = [];
  let answer: (token: string) => PushAnswer | Promise<PushAnswer> = () => ({ status: 202 });
  const server = createServer((request, response) => {
    void text(request).then(async (token) => {
      const { status, body } = await answer(token);
      arrived.push({ token, headers: request.headers, status });
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    url: `http://${host}/events`,
    arrived,
    answerWith(next) {
      answer = typeof next === 'function' ? next : () => next;
    },
    async whenArrived(count) {
      await until(() => arrived.length >= count).catch((error: unknown) => {
        throw new Error(`${arrived.length} of ${count} events came`, { cause: error });
      });
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
