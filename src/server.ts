import { listen } from './host/listener.ts';
import { openLog } from './host/log.ts';
import { requestHandler } from './host/request-handler.ts';
import type { Config } from './config/schema.ts';
import type { KeyRing } from './keys/key-ring.ts';
import { systemClock, type Clock } from './lib/clock.ts';
import { systemRandom, type Random } from './lib/random.ts';
import { checkClients } from './oidc/clients/check-clients.ts';
import type { Base } from './server/base.ts';
import { openDomain } from './server/domain.ts';
import { buildEngine } from './server/engine.ts';
import { openRing } from './server/ring.ts';
import type { Apps } from './server/routes.ts';
import { signAs } from './server/sign.ts';
import { openStores } from './storage/open-stores.ts';

export interface ServerOptions {
  config: Config;
  /** Apps to name on the root page. */
  apps?: Apps;
  clock?: Clock;
  random?: Random;
}

export interface RunningServer {
  /** Where it listens; clients use the issuer's URL. */
  readonly port: number;
  /** Lets what has begun end, then closes everything. */
  close(): Promise<void>;
  /** Cuts every connection. */
  closeNow(): void;
}

/** Starts the server that a configuration describes; the only place that sees every part. */
export async function startServer({ config, apps = [], ...given }: ServerOptions): Promise<RunningServer> {
  const { clock = systemClock, random = systemRandom } = given;
  const stores = await openStores(config.stores, clock);
  try {
    const base: Base = { config, stores, log: openLog(config.log), clock, random };
    for (const warning of stores.warnings) base.log.warn(warning);
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

async function serve(base: Base, ring: KeyRing, apps: Apps): Promise<RunningServer> {
  const { config, stores, log } = base;
  const domain = await openDomain(base, ring, {
    list: (claims) => signAs({ alg: 'ES256', typ: 'statuslist+jwt' }, engine.provider, ring.current(), claims),
    // CAEP Interoperability Profile 1.0 §2.6 knows RS256 alone.
    event: (claims) => signAs({ alg: 'RS256', typ: 'secevent+jwt' }, engine.provider, ring.current(), claims),
  });
  let isDraining = false;
  const build = () => buildEngine(base, ring, domain, { apps, isDraining: () => isDraining });
  let engine = build();
  ring.onChange(({ signing, published }) => {
    engine = build();
    domain.status.keysChanged();
    domain.announce({ type: 'keys.changed', signing: kidsOf(signing), published: kidsOf(published) });
  });
  await checkClients(engine.provider, domain.clients, log);
  await domain.signals.start();
  const handler = requestHandler(domain.admit, () => engine);
  const listener = await listen(config.listen, handler);
  domain.revocations.watch();
  log.info({ issuer: config.issuer, port: listener.port }, 'ready');
  return {
    port: listener.port,
    async close() {
      isDraining = true;
      domain.status.streams.close();
      domain.signals.release();
      await listener.drain();
      await domain.revocations.close();
      await domain.status.close();
      await domain.signals.close();
      await domain.logouts.close();
      await ring.close();
      await stores.close();
    },
    closeNow: () => {
      listener.stop();
    },
  };
}

function kidsOf(keys: readonly { kid?: string }[]): string[] {
  return keys.map(({ kid = '' }) => kid);
}
