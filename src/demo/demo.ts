import { type RequestListener, createServer } from 'node:http';
import { once } from 'node:events';
import { createAppSite, type AppConfig } from './app-site.ts';
import { createNotesApi } from './notes-api.ts';

export interface DemoOptions {
  /** The server's port. The demo takes the three ports after it. */
  port: number;
  issuer: string;
  /** The address to listen on. */
  host: string;
}

/**
 * Starts the demo on the three ports after the server's: the apps Notes and Photos, and the API that both call. The
 * demo can start before or after the server.
 * @throws the system's error if a port is taken, and then leaves no port open
 */
export async function startDemo({ port, issuer, host }: DemoOptions): Promise<Listening> {
  const { hostname } = new URL(issuer);
  const origin = (offset: number): string => `http://${hostname}:${port + offset}`;
  const notes = { name: 'Notes', origin: origin(1) };
  const photos = { name: 'Photos', origin: origin(2) };
  const api = origin(3);

  const app = (clientId: string, self: typeof notes, other: typeof notes): AppConfig => ({
    ...self,
    issuer,
    api,
    clientId,
    scope: 'openid profile email roles notes:read',
    other,
  });
  const notesApi = createNotesApi({ issuer, audience: api, origins: [notes.origin, photos.origin] });
  const listeners: RequestListener[] = [
    await createAppSite(app('demo-notes', notes, photos)),
    await createAppSite(app('demo-photos', photos, notes)),
    notesApi,
  ];
  const listening = await listenAll(listeners, port + 1, host);
  return {
    async close() {
      notesApi.close();
      await listening.close();
    },
  };
}

async function listenAll(listeners: readonly RequestListener[], firstPort: number, host: string): Promise<Listening> {
  const open: Listening[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(open.map((listening) => listening.close()));
  };
  try {
    for (const [index, listener] of listeners.entries()) open.push(await listen(listener, firstPort + index, host));
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

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
      // Browsers keep idle connections open, and no request of the demo is worth waiting for.
      server.closeAllConnections();
      await closed;
    },
  };
}
