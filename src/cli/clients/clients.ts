import type { Client, Clients } from '../../clients/clients.ts';
import { loadClients } from '../../config/loading/load-items.ts';
import { describeProblems } from '../../config/problems.ts';
import { findAction, type Actions } from '../actions.ts';
import { configOption, type Command, UsageError } from '../command.ts';
import { table } from '../help-text.ts';
import { storeContext, withDomain, type StoreContext } from '../store-context.ts';
import { durationText, parseDuration } from '../../lib/clock.ts';
import { disable, enable, remove } from './end.ts';
import { rollSecret } from './roll-secret.ts';

const ACTIONS: Actions<StoreContext> = {
  list: { options: ['json'], run: list },
  add: { words: ['FILE'], run: add },
  remove: { words: ['CLIENT_ID'], run: remove },
  disable: { words: ['CLIENT_ID'], run: disable },
  enable: { words: ['CLIENT_ID'], run: enable },
  'roll-secret': { words: ['CLIENT_ID'], options: ['now'], run: rollSecret },
  invite: { options: ['uses', 'expires'], run: invite },
};

export const clients: Command = {
  name: 'clients',
  summary: 'list, add, remove or disable clients, or roll a client secret',
  details: `clients list                    lists the clients in the configuration and in the store
clients add FILE                adds the client in FILE to the store, or several under "clients:", in the format of the
                                configuration file; replaces clients that have the same id
clients remove CLIENT_ID        removes a client from the store, and revokes everything issued to it
clients disable CLIENT_ID       revokes everything issued to a client, even a configured one, and blocks it until it is enabled
clients enable CLIENT_ID        lets a disabled client get tokens again
clients roll-secret CLIENT_ID   gives a client in the store a new secret, and prints it
clients invite                  prints an initial access token that lets somebody else register a client

Servers that run on the same store apply each change at once.`,
  options: {
    ...configOption,
    json: { summary: 'for list: print JSON, with all settings except secrets' },
    now: {
      summary: 'for roll-secret, after a leak: also revoke the old secret and everything issued to the client',
    },
    uses: { value: 'N', summary: 'for invite: the number of clients that the token can register (default: 1)' },
    expires: { value: 'DURATION', summary: 'for invite: the lifetime of the token (default: 1d)' },
  },
  words: ['ACTION', '[FILE|CLIENT_ID]'],
  async run(given, terminal) {
    const { action, words } = findAction(clients, ACTIONS, given);
    return action.run(storeContext(given, terminal), ...words);
  },
};

const NO_SECRETS = {
  secret_hash: undefined,
  previous_secret_hash: undefined,
  signing_secret: undefined,
  registration: undefined,
};

async function list(context: StoreContext): Promise<number> {
  const { given, terminal } = context;
  const all = await withDomain(context, ({ clients }) => everyClient(clients));
  if (given.options['json'] === true) {
    const withoutSecrets = all.map(({ client, ...state }) => ({ ...client, ...NO_SECRETS, ...state }));
    terminal.print(JSON.stringify(withoutSecrets, undefined, 2));
    return 0;
  }
  const rows = all.map(({ client, where, disabled }) => [
    ...[client.client_id, client.type, printable(client.client_name)],
    disabled ? `${where}, disabled` : where,
  ]);
  terminal.print(table([['client_id', 'type', 'name', 'where'], ...rows], ''));
  return 0;
}

async function everyClient(clients: Clients): Promise<{ client: Client; where: string; disabled: boolean }[]> {
  const found = clients.configured.map((client) => ({ client, where: 'configuration' }));
  for await (const client of clients.stored())
    found.push({ client, where: client.registration === undefined ? 'store' : 'registered itself' });
  return Promise.all(found.map(async (one) => ({ ...one, disabled: await clients.isDisabled(one.client.client_id) })));
}

/** Replaces control characters, so that a name cannot move the cursor or break the line. */
function printable(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{FFFD}');
}

async function add(context: StoreContext, file: string): Promise<number> {
  const { chosen, place, terminal } = context;
  const loaded = loadClients(file, chosen.config, terminal.environment);
  if (loaded.warnings.length > 0) terminal.warn(`warning:\n${describeProblems(file, loaded.warnings)}\n`);
  return withDomain(context, async ({ clients }) => {
    for (const client of loaded.clients) {
      const known = await clients.find(client.client_id);
      await clients.save(client);
      terminal.print(`${known === undefined ? 'added' : 'replaced'} client "${client.client_id}" in ${place}`);
    }
    return 0;
  });
}

const DAY = 86_400;

/** Prints only the initial access token on standard output, for scripts; its terms go to standard error. */
async function invite(context: StoreContext): Promise<number> {
  const { chosen, given, terminal } = context;
  const { options } = given;
  const uses = Number(options['uses'] ?? 1);
  if (!Number.isInteger(uses) || uses < 1 || uses > 10_000)
    throw new UsageError(`--uses ${JSON.stringify(options['uses'])} must be a whole number from 1 to 10000`);
  const ttl = parseDuration(String(options['expires'] ?? '1d'));
  if (ttl === undefined || ttl === 0 || ttl > 365 * DAY)
    throw new UsageError(`--expires ${JSON.stringify(options['expires'])} must be a duration from 1s to 365d`);
  const token = await withDomain(context, ({ invitations }) => invitations.make({ uses, ttl }));
  terminal.print(token);
  const times = uses === 1 ? 'one client' : `${uses} clients`;
  terminal.warn(
    `this token registers ${times} at ${chosen.config.issuer}/register within ${durationText(ttl)}; it is not shown again`,
  );
  if (!chosen.config.registration.enabled)
    terminal.warn('latchkey: registration.enabled is not set, so nobody can use this token');
  return 0;
}
