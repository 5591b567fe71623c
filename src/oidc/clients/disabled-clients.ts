import type { Provider } from 'oidc-provider';
import type { Clients } from '../../clients/clients.ts';

/** A client that is disabled is not there for anybody, on every node at once. */
export function leaveOutDisabledClients({ Client }: Provider, clients: Pick<Clients, 'isDisabled'>): void {
  const find = Client.find.bind(Client);
  Client.find = async (id) => {
    const [isDisabled, client] = await Promise.all([clients.isDisabled(id), find(id)]);
    return isDisabled ? undefined : client;
  };
}
