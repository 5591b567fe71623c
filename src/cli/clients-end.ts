import type { Clients } from '../clients/clients.ts';
import { removed, withDomain, type StoreScene } from './store-scene.ts';
import { bullets } from './help-text.ts';
import { howSoon } from './what-ends.ts';

export async function remove(scene: StoreScene, id: string): Promise<number> {
  const { chosen } = scene;
  return removed(scene, {
    name: `client ${JSON.stringify(id)}`,
    wasStored: await withDomain(scene, ({ endings }) => endings.removeClient(id)),
    isConfigured: chosen.config.clients.some((one) => one.client_id === id),
    ends: `latchkey revoke --client ${id}`,
  });
}

export async function disable(scene: StoreScene, id: string): Promise<number> {
  const { chosen, terminal } = scene;
  const name = `client ${JSON.stringify(id)}`;
  const isThere = await withDomain(scene, async ({ clients, endings }) => {
    if (!(await mayBeThere(clients, id))) return false;
    await endings.disableClient(id);
    return true;
  });
  if (!isThere) return absent(scene, name);
  const enable = `"latchkey clients enable ${id}" lets it in again, to new tokens`;
  terminal.print(
    `disabled ${name}: it gets nothing, and what it had has ended\n${bullets([howSoon(chosen.config), enable])}`,
  );
  return 0;
}

export async function enable(scene: StoreScene, id: string): Promise<number> {
  const name = `client ${JSON.stringify(id)}`;
  const [isThere, was] = await withDomain(scene, async ({ clients }) => [
    await mayBeThere(clients, id),
    await clients.enable(id),
  ]);
  if (!isThere && !was) return absent(scene, name);
  scene.terminal.print(`${name} ${was ? 'is enabled: it gets new tokens' : 'was not disabled'}`);
  return 0;
}

/** One that describes itself at its address is in no list. */
async function mayBeThere(clients: Clients, id: string): Promise<boolean> {
  return id.startsWith('https:') || (await clients.find(id)) !== undefined;
}

function absent({ place, terminal }: StoreScene, name: string): number {
  terminal.warn(
    `latchkey: there is no ${name}, neither in the configuration nor in ${place}; "latchkey clients list" shows all`,
  );
  return 1;
}
