import type { Logger } from 'pino';
import type { Provider } from 'oidc-provider';
import { openRing } from './domain/key-ring.ts';
import { openServingDomain, type Signers } from './domain/serving.ts';
import { admission as openAdmission, type Admission } from './host/admission.ts';
import { listen } from './host/listener.ts';
import { openLog } from './host/log.ts';
import { StoreChecks } from './host/store-checks.ts';
import { requestHandler } from './host/request-handler.ts';
import type { Config } from './config/schema.ts';
import { printableStoreUrl } from './config/store-url.ts';
import type { KeyRing } from './keys/key-ring.ts';
import type { Clock } from './lib/clock.ts';
import { systemRandom, type Random } from './lib/random.ts';
import { checkClients } from './oidc/clients/check-clients.ts';
import { buildEngine } from './server/engine.ts';
import type { Apps } from './server/routes.ts';
import { claimStore, foreignStore } from './credentials/store-origin.ts';
import { assertStoresLoaded, openStores, type Stores } from './storage/open-stores.ts';
import { signJwt } from './oidc/internals.ts';

export interface ServerOptions {
  config: Config;
  /** The apps that the root page names. */
  apps?: Apps;
  /** A clock in place of the store's, for tests. */
  clock?: Clock;
  random?: Random;
  /** Replaces `openStores` in tests, by stores that count calls or fail. */
  openStores?: typeof openStores;
}

export interface RunningServer {
  /** The listening port; clients use the issuer's URL. */
  readonly port: number;
  /** Announces the shutdown: /readyz answers 503, and each response closes its connection. */
  leave(): void;
  /** Finishes open requests, then closes everything. */
  close(): Promise<void>;
  /** Aborts every connection. */
  closeNow(): void;
  /** Reloads the TLS certificate. */
  reload(): void;
}

/** Starts the server for a configuration. No other function knows every part. */
export async function startServer({ config, apps = [], ...given }: ServerOptions): Promise<RunningServer> {
  const { random = systemRandom, openStores: open = openStores } = given;
  // If the start fails, closes what was opened, last first.
  await using opening = new AsyncDisposableStack();
  const stores = await open(config.stores, given.clock);
  opening.defer(() => stores.close());
  const log = openLog(config.log);
  for (const warning of stores.warnings) log.warn(warning);
  await claim({ config, stores, random });
  // Looks again after the first write: a restore or a copy sees that write, or this server sees its mark.
  await assertStoresLoaded(config.stores, stores);
  await adviseUpgrade(stores, log);
  const ring = await openRing({ config, stores, random, log });
  opening.defer(() => ring.close());
  return await serve({ config, stores, random, log, ring, apps, opening });
}

/** Keeps the demo, whose passwords are published, and configured servers out of each other's stores. */
async function claim({ config, stores, random }: Pick<Opened, 'config' | 'stores' | 'random'>): Promise<void> {
  const { records, clock, format } = stores;
  const { grants: grantsUrl, records: url = grantsUrl } = config.stores;
  const maker = config.isDemo === true ? 'demo' : 'configured';
  const other = await claimStore({ config, records, clock, random, format }, maker);
  if (other !== undefined) throw foreignStore(other, printableStoreUrl(url));
}

async function adviseUpgrade({ format }: Stores, log: Logger): Promise<void> {
  const { oldest } = await format.current();
  if (oldest === format.newest) return;
  log.info(
    { format: oldest, newest: format.newest },
    `the store has format ${oldest}; once no older version of Latchkey serves, run "latchkey store upgrade" for format ${format.newest}`,
  );
}

interface Opened {
  config: Config;
  stores: Stores;
  random: Random;
  log: Logger;
  ring: KeyRing;
  apps: Apps;
  /** Collects everything that must be closed. */
  opening: AsyncDisposableStack;
}

async function serve({ config, stores, random, log, ring, apps, opening }: Opened): Promise<RunningServer> {
  const sign = signersOf(() => engine.provider, ring);
  const serving = await openServingDomain({ config, stores, random, log, ring, sign, opening });
  let isDraining = false;
  const storeChecks = new StoreChecks({ stores, log, random, clockSkew: config.keys.clock_skew });
  opening.defer(() => storeChecks.close());
  const admission = admissionOf(config);
  const build = () =>
    buildEngine({ serving, keys: ring, log, admission, storeChecks, isDraining: () => isDraining, apps });
  let engine = build();
  ring.onChange(({ signing, published }) => {
    engine = build();
    serving.status.keysChanged();
    serving.announce({ type: 'keys.changed', signing: kidsOf(signing), published: kidsOf(published) });
  });
  await checkClients(engine.provider, { clients: serving.domain.clients, outgoing: serving.outgoing, log });
  await serving.transmitter.start();
  const listener = await listen(
    config,
    requestHandler(admission, () => engine, ring),
    log,
  );
  opening.defer(() => listener.drain());
  serving.domain.revocations.watch();
  await storeChecks.begin();
  log.info({ issuer: config.issuer, port: listener.port }, 'ready');
  const opened = opening.move();
  return {
    port: listener.port,
    leave() {
      isDraining = true;
      listener.leave();
    },
    async close() {
      isDraining = true;
      serving.release();
      await opened.disposeAsync();
    },
    closeNow: () => {
      listener.stop();
    },
    reload: () => {
      listener.reload();
    },
  };
}

function admissionOf({
  issuer,
  listen: { aliases, trusted_proxies, client_certificates: certificates },
}: Config): Admission {
  // Further hosts that requests may name.
  const others = certificates?.url === undefined ? aliases : [...aliases, new URL(certificates.url).host];
  return openAdmission({
    issuer,
    aliases: others,
    trustedProxies: trusted_proxies,
    certificateHeader: certificates?.header,
  });
}

function kidsOf(keys: readonly { kid?: string }[]): string[] {
  return keys.map(({ kid = '' }) => kid);
}

/** Returns functions that sign the JWTs that the engine does not make, with the keys of the current engine. */
export function signersOf(provider: () => Provider, ring: Pick<KeyRing, 'current'>): Signers {
  /** Signs with the preferred algorithm, which readers expect by default, if the ring has a key for it. */
  const signAs = (preferred: string, typ: string, claims: Readonly<Record<string, unknown>>): Promise<string> => {
    const algorithms: string[] = ring.current().signing.map(({ alg }) => alg);
    const alg = algorithms.find((one) => one === preferred) ?? algorithms[0] ?? preferred;
    return signJwt(provider(), claims, { alg, typ });
  };
  return {
    list: (claims) => signAs('ES256', 'statuslist+jwt', claims),
    // CAEP Interoperability Profile 1.0 §2.6 allows RS256 only.
    event: (claims) => signAs('RS256', 'secevent+jwt', claims),
  };
}
