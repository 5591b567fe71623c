import type { Context } from 'koa';
import type { Client } from '../clients/clients.ts';
import type { Invitations } from '../clients/invitations.ts';
import { openRegisteredClients } from '../clients/registered-clients.ts';
import type { Config } from '../config/schema.ts';
import type { Announce, Revoke } from '../events/events.ts';
import { answeringRefusals, Refusal } from '../http/refusal.ts';
import { type Route, route, unsecured } from '../http/route.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { KeySets } from '../outgoing/key-sets.ts';
import type { Store } from '../storage/store.ts';
import { blockShares, openBudget } from '../limits/budget.ts';
import { clientAddress } from '../http/request-facts.ts';
import { openSoftwareStatements } from './software-statements.ts';
import { change, openOwn, read, remove, register, type RegistrationDependencies } from './register.ts';

export interface Registration {
  /** Returns the routes; none if the configuration allows no self-registration. */
  routes(accept: (client: Client) => Promise<void>): Route[];
  /** Records that a self-registered client was issued a token. Never throws. */
  readonly used: (clientId: string) => void;
}

interface RegistrationOptions {
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
  /** Reports that the store did not prolong a client's registration. The client's next use prolongs it. */
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

const HOUR = 3600;

/** Counts registration requests by address, and by the wider blocks that one subscriber may hold. */
function registrationLimit({ grants, clock, most }: { grants: Store; clock: Clock; most: number }) {
  const budget = openBudget({ grants, clock, name: 'registrations', span: HOUR });
  /** @throws Refusal after `most` requests in an hour from one address */
  return async (address: string): Promise<void> => {
    if (await budget.spend(blockShares(address, most), 1)) return;
    const headers = { 'Retry-After': String(HOUR) };
    throw new Refusal('temporarily_unavailable', 'too many registrations from this address: try again later', {
      headers,
    });
  };
}

/** Routes for client registration (RFC 7591) and for management by the client (RFC 7592). */
function registrationRoutes(dependencies: RegistrationDependencies): Route[] {
  const own = '/register/:client';
  const guard = (context: Context) => openOwn(dependencies, context);
  return [
    route('POST', '/register', unsecured, (context) => register(dependencies, context)),
    route('GET', own, guard, (context, client) => {
      read(dependencies, context, client);
    }),
    route('PUT', own, guard, (context, client) => change(dependencies, context, client)),
    route('DELETE', own, guard, (context, client) => remove(dependencies, context, client)),
    ...['/register', own].map((path) => route('OPTIONS', path, unsecured, answerPreflight)),
  ].map((one) => ({ ...one, handle: answering(dependencies, one.handle) }));
}

/** Announces refusals, and lets pages at the listed origins read every response. */
function answering({ config, announce }: RegistrationDependencies, handle: Route['handle']): Route['handle'] {
  const answered = answeringRefusals(handle, (context, { code, reason }) => {
    announce({ type: 'registration.refused', address: clientAddress(context), error: code, reason });
  });
  return (context) => {
    allowOrigin(context, config.registration.allowed_origins);
    return answered(context);
  };
}

/**
 * Lets pages at the allowed origins read the response. A page cannot act for the person who views it, because only
 * access tokens authorize requests here, never cookies.
 */
function allowOrigin(context: Context, allowed: readonly string[]): void {
  context.vary('Origin');
  const origin = context.get('Origin');
  if (origin === '' || !(allowed.includes('*') || allowed.includes(origin))) return;
  context.set('Access-Control-Allow-Origin', origin);
  context.set('Access-Control-Expose-Headers', 'WWW-Authenticate, Retry-After');
}

function answerPreflight(context: Context): void {
  context.status = 204;
  if (!context.res.hasHeader('Access-Control-Allow-Origin')) return;
  context.set('Access-Control-Allow-Methods', 'GET, POST, PUT, DELETE');
  context.set('Access-Control-Allow-Headers', 'Authorization, Content-Type');
  context.set('Access-Control-Max-Age', '3600');
}
