import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';

export interface Serving extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** Serves on a free port of this machine, or on the one that is given, until it is closed; closing twice is closing once. */
export async function serve(listener: RequestListener, at = 0): Promise<Serving> {
  const server = createServer(listener);
  server.listen(at, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port');
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  return { port: address.port, url: `http://127.0.0.1:${address.port}`, close, [Symbol.asyncDispose]: close };
}
