import type { Provider } from 'oidc-provider';
import type { Clients } from '../../clients/clients.ts';

/** Hides disabled clients from every lookup, on every node at once. */
export function leaveOutDisabled(
  engine: Provider['Client']['find'],
  { clients, provider }: { clients: Pick<Clients, 'isDisabled'>; provider: Provider },
): Provider['Client']['find'] {
  return async (id) => {
    const [isDisabled, client] = await Promise.all([clients.isDisabled(id), engine.call(provider.Client, id)]);
    return isDisabled ? undefined : client;
  };
}
