import { CLIENT_SECRETS, openClients, type Clients, type ClientsOptions } from '../clients/clients.ts';
import type { Config } from '../config/schema.ts';
import { systemRandom } from '../lib/random.ts';
import type { Store } from '../storage/store.ts';
import { withStores, type StoreScene } from './store-scene.ts';
import { ringNow } from './stored-ring.ts';

/** Opens the clients for one piece of work. @throws StoreUnavailable */
export function withClients<T>(scene: StoreScene, work: (clients: Clients) => Promise<T>): Promise<T> {
  return withStores(scene, ({ records }) => work(clientsOf(scene.chosen.config, records)));
}

/** The clients of the configuration and of the store, as the server has them. */
export function clientsOf(config: Config, records: Store): Clients {
  return openClients(clientsOptions(config, records));
}

export function clientsOptions(config: Config, records: Store): ClientsOptions {
  const sealingKey = (): Promise<string> => sealingKeyOf(config, records);
  return { records, configured: config.clients, random: systemRandom, sealingKey };
}

/** @throws as `ringNow` */
async function sealingKeyOf(config: Config, records: Store): Promise<string> {
  return (await ringNow(config, records)).derive(CLIENT_SECRETS).toString('base64url');
}
