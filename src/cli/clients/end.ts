import type { Clients } from '../../clients/clients.ts';
import { reportRemoval, withDomain, type StoreContext, revocationDelayText } from '../store-context.ts';
import { bullets } from '../help-text.ts';

export async function remove(context: StoreContext, id: string): Promise<number> {
  const { chosen } = context;
  return reportRemoval(context, {
    name: `client ${JSON.stringify(id)}`,
    wasStored: await withDomain(context, ({ operations }) => operations.removeClient(id)),
    isConfigured: chosen.config.clients.some((one) => one.client_id === id),
    revokeCommand: `latchkey revoke --client ${id}`,
  });
}

export async function disable(context: StoreContext, id: string): Promise<number> {
  const { chosen, terminal } = context;
  const name = `client ${JSON.stringify(id)}`;
  const exists = await withDomain(context, async ({ clients, operations }) => {
    if (!(await mayExist(clients, id))) return false;
    await operations.disableClient(id);
    return true;
  });
  if (!exists) return reportMissing(context, name);
  const enable = `"latchkey clients enable ${id}" lets it get tokens again`;
  terminal.print(
    `disabled ${name}: it gets no tokens, and its tokens are revoked\n${bullets([revocationDelayText(chosen.config), enable])}`,
  );
  return 0;
}

export async function enable(context: StoreContext, id: string): Promise<number> {
  const name = `client ${JSON.stringify(id)}`;
  const [exists, wasDisabled] = await withDomain(context, async ({ clients }) => [
    await mayExist(clients, id),
    await clients.enable(id),
  ]);
  if (!exists && !wasDisabled) return reportMissing(context, name);
  context.terminal.print(`${name} ${wasDisabled ? 'is enabled: it can get tokens again' : 'was not disabled'}`);
  return 0;
}

/**
 * Tells whether a client may exist. A client with a metadata document is in no list, and the document's https URL is
 * its id.
 */
async function mayExist(clients: Clients, id: string): Promise<boolean> {
  return id.startsWith('https:') || (await clients.find(id)) !== undefined;
}

function reportMissing({ place, terminal }: StoreContext, name: string): number {
  terminal.warn(`latchkey: there is no ${name} in the configuration or in ${place}; "latchkey clients list" shows all`);
  return 1;
}
