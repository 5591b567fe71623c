import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { demoConfig } from '../../src/config/demo.ts';
import type { Config } from '../../src/config/schema.ts';
import { openMasterKey } from '../../src/keys/master-key.ts';
import { systemClock, type Clock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { startServer, type RunningServer } from '../../src/server.ts';
import type { openStores } from '../../src/storage/open-stores.ts';
import { freePort } from './free-port.ts';

export interface TestServer extends RunningServer, AsyncDisposable {
  readonly issuer: string;
  readonly config: Config;
  /** Where its keys are, and its store when none was given. */
  readonly directory: string;
}

export interface TestServerOptions {
  /** Changes the demo's configuration, which tests start from. */
  change?: (config: Config) => Config;
  /** A store URL; an own SQLite file without it. */
  store?: string;
  /** Another server's directory and port, for a second node of it or for its next start. */
  sameAs?: { directory: string; issuer: string };
  /** Listens here instead of at the issuer's port: another node. */
  port?: number;
  /** In place of this process's clock; `of the store` as in production. */
  clock?: Clock | 'of the store';
  openStores?: typeof openStores;
  /**
   * Hashes passwords as slowly as the program's defaults have it: for tests of guessing, of floods, and of what happens
   * at the same moment as a sign-in.
   */
  hashesSlowly?: boolean;
}

/** Less than a configuration may ask for: most tests sign somebody in, and few are about that. */
const CHEAP_HASHES: Config['passwords']['argon2'] = { memory_kib: 64, passes: 1, parallelism: 1 };

/** The real server, in this process, with the demo's clients and accounts, silent, on a free port. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  // Tests move this process's clock (see clock.ts), and with it the time of the store.
  const { sameAs, clock = systemClock, openStores: open } = options;
  const directory = sameAs?.directory ?? (await mkdtemp(join(tmpdir(), 'latchkey-test-')));
  // Beside a store that nodes share, a server waits for its operator to hand it the key.
  if (sameAs === undefined) await openMasterKey(directory, { create: true, random: systemRandom });
  const issuerPort = sameAs === undefined ? await freePort(5) : Number(new URL(sameAs.issuer).port);
  const defaults = demoConfig({
    port: issuerPort,
    environment: {
      LATCHKEY_STORE: options.store ?? `sqlite:${join(directory, 'store.db')}`,
      LATCHKEY_KEYS_DIR: directory,
      LATCHKEY_LOG_LEVEL: process.env['LATCHKEY_LOG_LEVEL'] ?? 'silent',
    },
  });
  const passwords = { ...defaults.passwords, argon2: CHEAP_HASHES };
  const demo = options.hashesSlowly === true ? defaults : { ...defaults, passwords };
  const config = options.change?.(demo) ?? demo;
  const listening =
    options.port === undefined ? config : { ...config, listen: { ...config.listen, port: options.port } };
  const server = await startServer({
    config: listening,
    ...(clock !== 'of the store' && { clock }),
    ...(open && { openStores: open }),
  });
  let closing: Promise<void> | undefined;
  const close = async () => {
    await server.close();
    if (sameAs === undefined) await rm(directory, { recursive: true, force: true });
  };
  return {
    ...server,
    issuer: config.issuer,
    config,
    directory,
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
}
