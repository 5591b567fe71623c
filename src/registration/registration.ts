import type { Client } from '../clients/clients.ts';
import type { Invitations } from '../clients/invitations.ts';
import { openRegisteredClients } from '../clients/registered-clients.ts';
import type { Config } from '../config/schema.ts';
import type { Announce, Revoke } from '../events/events.ts';
import type { Route } from '../http/route.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { KeySets } from '../outgoing/key-sets.ts';
import type { Store } from '../storage/store.ts';
import { registrationRoutes } from './endpoint.ts';
import { registrationLimit } from './limits.ts';
import { openSoftwareStatements } from './software-statements.ts';

export interface Registration {
  /** Empty if the configuration allows no self-registration. */
  routes(accept: (client: Client) => Promise<void>): Route[];
  /** Records that a self-registered client was issued a token. Never throws. */
  readonly used: (clientId: string) => void;
}

export interface RegistrationOptions {
  config: Config;
  records: Store;
  grants: Store;
  invitations: Invitations;
  announce: Announce;
  revoke: Revoke;
  clock: Clock;
  random: Random;
  /** Fetches the keys of statement issuers. */
  keySets: KeySets;
  /** Reports that the store was away: the client is renewed at its next use. */
  reportFailure: (error: unknown) => void;
}

export function openRegistration(options: RegistrationOptions): Registration {
  const { config, records, grants, invitations, announce, revoke, clock, random, keySets, reportFailure } = options;
  const { issuer, registration: rules } = config;
  const registered = openRegisteredClients({ records, clock, random, unused: rules.unused, most: rules.max_clients });
  const limitAddress = registrationLimit({ grants, clock, most: rules.max_per_hour });
  const statements = openSoftwareStatements({ rules: rules.software_statements, issuer, clock, keySets });
  return {
    routes(accept) {
      if (!rules.enabled) return [];
      return registrationRoutes({
        config,
        registered,
        invitations,
        statements,
        accept,
        limitAddress,
        announce,
        revoke,
        clock,
        random,
      });
    },
    used(clientId) {
      registered.renew(clientId).catch(reportFailure);
    },
  };
}
