import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { until } from '../support/until.ts';

/** An app's endpoint for back-channel logout, on loopback. */
export interface LogoutReceiver {
  /** `host:port`, as the list of allowed destinations has it. */
  readonly host: string;
  readonly uri: string;
  /** The bodies that came, in order. */
  readonly received: { type: string | undefined; body: URLSearchParams }[];
  /** What it answers from now on. */
  answerWith(status: number): void;
  /** Lets those that come from now on wait for their answer. @returns what gives it */
  hold(): () => void;
  /** Waits until so many have come. */
  whenReceived(count: number): Promise<void>;
  close(): Promise<void>;
}

export async function startLogoutReceiver(): Promise<LogoutReceiver> {
  const received: LogoutReceiver['received'] = [];
  let status = 200;
  let held: Promise<unknown> = Promise.resolve();
  const server = createServer((request, response) => {
    void text(request).then(async (body) => {
      received.push({ type: request.headers['content-type'], body: new URLSearchParams(body) });
      await held;
      response.writeHead(status, { connection: 'close' }).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    uri: `http://${host}/backchannel`,
    received,
    answerWith(next) {
      status = next;
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      held = promise;
      return () => {
        resolve(undefined);
      };
    },
    async whenReceived(count) {
      await until(() => received.length >= count).catch((error: unknown) => {
        throw new Error(`${received.length} of ${count} logout tokens came`, { cause: error });
      });
    },
    async close() {
      server.close();
      await once(server, 'close');
    },
  };
}
