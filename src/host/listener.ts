import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { profiles } from '../config/sections/profiles.ts';
import type { Config } from '../config/schema.ts';
import { CertificateFiles } from './certificate-files.ts';
import { Connections, type Handler } from './connections.ts';

interface Listener {
  readonly port: number;
  /** Announces the shutdown: still accepts connections, and closes each with its next response. */
  leave(): void;
  /** Accepts no new connections, finishes open requests, and closes connections as they become idle. */
  drain(): Promise<void>;
  /** Aborts every connection. */
  stop(): void;
  /** Reloads the TLS certificate for new connections. */
  reload(): void;
}

/** Milliseconds in which a client must send a whole request. A slower client probably wants to block connections. */
const REQUEST_TIMEOUT = 30_000;
/** Milliseconds for which an idle connection stays open. Load balancers use a shorter time, so they close it first. */
const KEEP_ALIVE = 65_000;

/** The TLS 1.3 suites. Node disables TLS 1.3 if a list names none of them. */
const TLS_1_3 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];

/**
 * Listens on the configured port. If clients may present certificates directly, also listens on a second port, which
 * requests one. The first port thus never asks a browser for a certificate.
 * @throws the system's error (`EADDRINUSE`, `EACCES`, …) if an address is not available
 */
export async function listen(
  { listen: settings, profile }: Pick<Config, 'listen' | 'profile'>,
  handler: Handler,
  log: Logger,
): Promise<Listener> {
  const { host, port, tls, client_certificates: certificates } = settings;
  const options = { requestTimeout: REQUEST_TIMEOUT, keepAliveTimeout: KEEP_ALIVE };
  if (tls === undefined) return open(createServer(options), handler, host, port);
  const files = new CertificateFiles(tls, log);
  const suites = tls.ciphers ?? profiles[profile].ciphers;
  const ciphers = suites && { ciphers: [...TLS_1_3, ...suites].join(':') };
  const secure = { ...options, ...files.read(), ...ciphers };
  const server = createTlsServer(secure);
  const main = await open(server, handler, host, port);
  files.watch((renewed) => {
    server.setSecureContext({ ...renewed, ...ciphers });
  });
  if (certificates?.port === undefined) return watching(main, files);
  // Each client has its own valid certificates, so TLS itself accepts every certificate.
  const asking = createTlsServer({ ...secure, requestCert: true, rejectUnauthorized: false });
  try {
    const second = await open(asking, handler, host, certificates.port);
    files.watch((renewed) => {
      asking.setSecureContext({ ...renewed, ...ciphers });
    });
    return watching(both(main, second), files);
  } catch (error) {
    files.close();
    main.stop();
    throw error;
  }
}

async function open(server: Server, handler: Handler, host: string, port: number): Promise<Listener> {
  const connections = new Connections(server, handler);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    leave: () => {
      connections.leave();
    },
    drain: () => connections.drain(),
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
    reload: () => undefined,
  };
}

function both(main: Listener, asking: Listener): Listener {
  const listeners = [main, asking];
  return {
    port: main.port,
    leave: () => {
      for (const listener of listeners) listener.leave();
    },
    drain: async () => {
      await Promise.all(listeners.map((listener) => listener.drain()));
    },
    stop: () => {
      for (const listener of listeners) listener.stop();
    },
    reload: () => undefined,
  };
}

function watching(listener: Listener, files: CertificateFiles): Listener {
  return {
    ...listener,
    drain: async () => {
      files.close();
      await listener.drain();
    },
    stop: () => {
      files.close();
      listener.stop();
    },
    reload: () => {
      files.reload();
    },
  };
}
