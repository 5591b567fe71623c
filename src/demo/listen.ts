import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';

/** An open port. */
export interface Listening {
  close(): Promise<void>;
}

export async function listen(listener: RequestListener, port: number, host: string): Promise<Listening> {
  const server = createServer(listener);
  server.listen(port, host);
  await once(server, 'listening');
  return {
    async close() {
      const closed = once(server, 'close');
      server.close();
      // Browsers hold idle connections open, and no request here is worth waiting for.
      server.closeAllConnections();
      await closed;
    },
  };
}
