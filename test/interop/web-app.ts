import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { ClientConfig, Config } from '../../src/config/schema.ts';

export interface WebApp {
  readonly url: string;
  close(): Promise<void>;
}

/** A web app on a port that the server knows already. */
export async function startWebApp(port: number, listener: RequestListener): Promise<WebApp> {
  const server = createServer(listener).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://localhost:${port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The demo's web client, as an app at this port is registered. */
export function webClientAt(url: string, settings: Partial<ClientConfig>) {
  return (config: Config): Config => ({
    ...config,
    outgoing: { ...config.outgoing, allow: [...config.outgoing.allow, 'localhost'] },
    clients: config.clients.map((client) =>
      client.client_id === 'demo-web' ? { ...client, post_logout_redirect_uris: [url], ...settings } : client,
    ),
  });
}
