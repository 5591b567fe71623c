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
import type { Base } from './server/base.ts';
import { openDomain } from './server/domain.ts';
import { buildEngine } from './server/engine.ts';
import { openRing } from './server/ring.ts';
import type { Apps } from './server/routes.ts';
import { signAs } from './server/sign.ts';
import { claimStore, foreignStore } from './credentials/store-origin.ts';
import { openStores } from './storage/open-stores.ts';

export interface ServerOptions {
  config: Config;
  /** Apps to name on the root page. */
  apps?: Apps;
  /** The time in place of the store's, for those who move it. */
  clock?: Clock;
  random?: Random;
  /** Opens the stores in its own way, such as ones that count or fail. */
  openStores?: typeof openStores;
}

export interface RunningServer {
  /** The address that it listens on; clients use the issuer's URL. */
  readonly port: number;
  /** Announces the end and serves on: /readyz answers 503, and each answer closes its connection. */
  leave(): void;
  /** Lets what has begun end, then closes everything. */
  close(): Promise<void>;
  /** Cuts every connection. */
  closeNow(): void;
  /** Reads again what another program may have renewed: the TLS certificate. */
  reload(): void;
}

/** Starts the server that a configuration describes; the only place that sees every part. */
export async function startServer({ config, apps = [], ...given }: ServerOptions): Promise<RunningServer> {
  const { random = systemRandom, openStores: open = openStores } = given;
  const stores = await open(config.stores, given.clock);
  try {
    const base: Base = { config, stores, log: openLog(config.log), clock: stores.clock, random };
    for (const warning of stores.warnings) base.log.warn(warning);
    await claim(base);
    const ring = await openRing(base);
    return await serve(base, ring, apps).catch(async (error: unknown) => {
      await ring.close();
      throw error;
    });
  } catch (error) {
    await stores.close();
    throw error;
  }
}

/** Keeps the demo, whose passwords everybody knows, and configured servers out of each other's stores. */
async function claim({ config, stores, clock, random }: Base): Promise<void> {
  const { records } = stores;
  const { grants: grantsUrl, records: url = grantsUrl } = config.stores;
  const other = await claimStore({ config, records, clock, random }, config.isDemo === true ? 'demo' : 'configured');
  if (other !== undefined) throw foreignStore(other, printableStoreUrl(url));
}

async function serve(base: Base, ring: KeyRing, apps: Apps): Promise<RunningServer> {
  const { config, stores, log } = base;
  const domain = await openDomain(base, ring, {
    list: (claims) => signAs({ alg: 'ES256', typ: 'statuslist+jwt' }, engine.provider, ring.current(), claims),
    // CAEP Interoperability Profile 1.0 §2.6 knows RS256 alone.
    event: (claims) => signAs({ alg: 'RS256', typ: 'secevent+jwt' }, engine.provider, ring.current(), claims),
  });
  let isDraining = false;
  const storeChecks = new StoreChecks({ ...base, clockSkew: config.keys.clock_skew });
  const build = () => buildEngine(base, ring, domain, { apps, storeChecks, isDraining: () => isDraining });
  let engine = build();
  ring.onChange(({ signing, published }) => {
    engine = build();
    domain.status.keysChanged();
    domain.announce({ type: 'keys.changed', signing: kidsOf(signing), published: kidsOf(published) });
  });
  await checkClients(engine.provider, { ...domain, log });
  await domain.signals.start();
  const handler = requestHandler(domain.admit, () => engine, ring);
  const listener = await listen(config, handler, log);
  domain.revocations.watch();
  await storeChecks.begin();
  log.info({ issuer: config.issuer, port: listener.port }, 'ready');
  return {
    port: listener.port,
    leave() {
      isDraining = true;
      listener.leave();
    },
    async close() {
      isDraining = true;
      domain.status.streams.close();
      domain.signals.release();
      await listener.drain();
      domain.credentials.passwords.close();
      await domain.revocations.close();
      await domain.status.close();
      await domain.signals.close();
      await domain.logouts.close();
      await ring.close();
      storeChecks.close();
      await stores.close();
    },
    closeNow: () => {
      listener.stop();
    },
    reload: () => {
      listener.reload();
    },
  };
}

function kidsOf(keys: readonly { kid?: string }[]): string[] {
  return keys.map(({ kid = '' }) => kid);
}
