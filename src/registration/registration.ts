import type { Client } from '../clients/clients.ts';
import { openInvitations } from '../clients/invitations.ts';
import { openRegisteredClients } from '../clients/registered-clients.ts';
import type { Config } from '../config/schema.ts';
import type { Announce } from '../events/events.ts';
import type { Revoke } from '../events/revocations.ts';
import type { Route } from '../http/route.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { KeySets } from '../outgoing/key-sets.ts';
import type { Store } from '../storage/store.ts';
import { registrationRoutes } from './endpoint.ts';
import { registrationLimit } from './limits.ts';
import { openSoftwareStatements } from './software-statements.ts';

export interface Registration {
  /** None where the configuration lets no client register itself. */
  routes(accept: (client: Client) => Promise<void>): Route[];
  /** Told that a client which registered itself was given a token. Never throws. */
  readonly used: (clientId: string) => void;
}

export function openRegistration(parts: {
  config: Config;
  records: Store;
  grants: Store;
  announce: Announce;
  revoke: Revoke;
  clock: Clock;
  random: Random;
  /** For the keys of those who vouch for software. */
  keySets: KeySets;
  /** Told when the store was away: the client is renewed at its next use. */
  reportFailure: (error: unknown) => void;
}): Registration {
  const { config, clock } = parts;
  const { enabled, unused, max_clients: most, software_statements: rules } = config.registration;
  const registered = openRegisteredClients({ ...parts, unused, most });
  const invitations = openInvitations(parts);
  const limitAddress = registrationLimit({ ...parts, most: config.registration.max_per_hour });
  const statements = openSoftwareStatements({ rules, issuer: config.issuer, clock, keySets: parts.keySets });
  return {
    routes: (accept) =>
      enabled ? registrationRoutes({ ...parts, registered, invitations, statements, limitAddress, accept }) : [],
    used(clientId) {
      registered.renew(clientId).catch(parts.reportFailure);
    },
  };
}
