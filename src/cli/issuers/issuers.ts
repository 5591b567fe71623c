import { loadIssuers } from '../../config/loading/load-items.ts';
import { findAction, type Actions } from '../actions.ts';
import { configOption, type Command, textOf } from '../command.ts';
import { table } from '../help-text.ts';
import { reportRemoval, storeContext, withDomain, type StoreContext } from '../store-context.ts';
import { authMethodOf } from '../../config/sections/client-auth-checks.ts';
import type { Domain } from '../../domain/domain.ts';
import type { Check, Examination } from '../../grants/jwt-bearer/examination.ts';
import { CHECKS, firstFailure } from '../../grants/jwt-bearer/checks.ts';
import { readAssertion } from '../../grants/jwt-bearer/assertion.ts';
import type { Subject } from '../../grants/jwt-bearer/subject.ts';
import { openOutgoing } from '../../outgoing/outgoing.ts';
import { readText } from '../text-files.ts';

/** Checks a token as the token endpoint would, but consumes nothing and makes no account. */
async function test(context: StoreContext, word: string): Promise<number> {
  const { terminal } = context;
  const token = word === '-' ? await readText(word, terminal) : word;
  return withDomain(context, async (domain) => {
    const examination = await examine(context, domain, token);
    const failed = await firstFailure(examination);
    terminal.print(`${table([...facts(examination)], '')}\n`);
    if (failed === undefined) {
      const { client } = examination.request;
      terminal.print(
        `The token is accepted: client "${client.id}" gets a token for ${subjectText(await examination.subject())}.`,
      );
      return 0;
    }
    terminal.print(refusalText(failed));
    return 1;
  });
}

function refusalText({ reason, says }: Check): string {
  const place = CHECKS.findIndex((check) => check.reason === reason);
  return `The token is refused. This check failed: ${says}.
It is check ${place + 1} of ${CHECKS.length} (${reason}); docs/trusted-issuers.md lists all checks in order.`;
}

async function examine(context: StoreContext, domain: Domain, token: string): Promise<Examination> {
  const { config, accounts, issuers, grants, clock } = domain;
  const { allow, ca } = config.outgoing;
  const { ofOperator } = openOutgoing({
    allow,
    ca,
    clock,
    reportFailure: ({ address, err }) => {
      context.terminal.warn(`latchkey: ${address}: ${err instanceof Error ? err.message : String(err)}`);
    },
  });
  // The grant is imported here, because it loads the engine, and no other command should wait for that.
  const { jwtBearer } = await import('../../grants/jwt-bearer/jwt-bearer.ts');
  const { rehearse } = jwtBearer({
    issuer: config.issuer,
    issuers,
    accounts,
    grants,
    announce: () => undefined,
    clock,
    keySets: ofOperator.keySets,
  });
  const assertion = readAssertion(token.trim());
  const { iss } = assertion.claims.members;
  const issuer = typeof iss === 'string' ? await issuers.find(iss) : undefined;
  const named = textOf(context.given, 'client');
  const id = named ?? issuer?.clients[0] ?? '';
  const client = await domain.clients.find(id);
  if (client === undefined && named !== undefined)
    throw new Error(`there is no client ${JSON.stringify(id)}; "latchkey clients list" shows all`);
  const { resources = [], default_resource: defaultResource } = client ?? {};
  const isProved = client !== undefined && authMethodOf(client) !== 'none';
  return rehearse({ assertion, client: { id, isProved, resources, defaultResource }, scopes: [], resources: [] });
}

/** Lists the token's claims, the expected audience and the client that would present it. */
function* facts({ header, claims, request, resource, here }: Examination): Generator<string[]> {
  yield ['expected aud', here];
  yield ['client', request.client.id || 'none: choose one with --client'];
  yield ['resource', resource ?? 'none'];
  const shown = { ...pick(header, ['typ', 'alg', 'kid']), ...pick(claims, ['iss', 'sub', 'aud', 'iat', 'exp', 'jti']) };
  for (const [name, value] of Object.entries(shown)) yield [name, printable(value)];
}

function pick(members: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.filter((name) => members[name] !== undefined).map((name) => [name, members[name]]));
}

/**
 * Escapes text from outside, so that it cannot move the cursor. JSON escapes most control characters, and the function
 * replaces the rest.
 */
function printable(value: unknown): string {
  return JSON.stringify(value)
    .replace(/[^\x20-\x7E]/g, '\u{FFFD}')
    .slice(0, 200);
}

function subjectText(subject: Subject): string {
  switch (subject.is) {
    case 'service':
      return 'the client itself';
    case 'account':
      return `the account ${subject.account.email}`;
    case 'linkable':
      return `the account ${subject.account.email}, which it would be linked to`;
    case 'new':
      return `a new account ${subject.email}`;
    case 'nobody':
      return 'nobody';
  }
}

const ACTIONS: Actions<StoreContext> = {
  list: { options: ['json'], run: list },
  add: { words: ['FILE'], run: add },
  remove: { words: ['ISSUER'], run: remove },
  test: { words: ['TOKEN'], options: ['client'], run: test },
};

export const issuers: Command = {
  name: 'issuers',
  summary: 'list, add or remove trusted issuers, or test a token',
  details: `issuers list            lists the trusted issuers in the configuration and in the store
issuers add FILE        adds the issuer in FILE to the store, or several under "trusted_issuers:", in the format of the
                        configuration file; replaces issuers that have the same URL
issuers remove ISSUER   removes an issuer from the store, and revokes everything issued for its tokens
issuers test TOKEN      shows what a client would get for a token, or why it is refused, without using up the token;
                        - reads the token from standard input

Servers that run on the same store apply each change at once.`,
  options: {
    ...configOption,
    json: { summary: 'for list: print JSON, with all settings' },
    client: {
      value: 'CLIENT_ID',
      summary: "for test: the client that presents the token (default: the first of the issuer's clients)",
    },
  },
  words: ['ACTION', '[FILE|ISSUER|TOKEN]'],
  async run(given, terminal) {
    const { action, words } = findAction(issuers, ACTIONS, given);
    return action.run(storeContext(given, terminal), ...words);
  },
};

async function list(context: StoreContext): Promise<number> {
  const { given, terminal } = context;
  const all = await withDomain(context, async ({ issuers }) => {
    const found = issuers.configured.map((issuer) => ({ ...issuer, where: 'configuration' }));
    for await (const issuer of issuers.stored()) found.push({ ...issuer, where: 'store' });
    return found;
  });
  if (given.options['json'] === true) terminal.print(JSON.stringify(all, undefined, 2));
  else {
    const rows = all.map(({ issuer, subject, clients, where }) => [issuer, subject.is, clients.join(' '), where]);
    terminal.print(table([['issuer', 'subject', 'clients', 'where'], ...rows], ''));
  }
  return 0;
}

async function add(context: StoreContext, file: string): Promise<number> {
  const { chosen, place, terminal } = context;
  const loaded = loadIssuers(file, chosen.config, terminal.environment);
  return withDomain(context, async ({ issuers }) => {
    for (const issuer of loaded) {
      const known = await issuers.find(issuer.issuer);
      await issuers.save(issuer);
      terminal.print(`${known === undefined ? 'added' : 'replaced'} issuer "${issuer.issuer}" in ${place}`);
    }
    return 0;
  });
}

async function remove(context: StoreContext, issuer: string): Promise<number> {
  return reportRemoval(context, {
    name: `issuer ${JSON.stringify(issuer)}`,
    wasStored: await withDomain(context, ({ operations }) => operations.removeIssuer(issuer)),
    isConfigured: context.chosen.config.trusted_issuers.some((one) => one.issuer === issuer),
    revokeCommand: `latchkey revoke --issuer ${issuer}`,
  });
}
