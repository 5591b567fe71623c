import { loadIssuers } from '../../config/loading/load-items.ts';
import { findAction, type Actions } from '../actions.ts';
import { configOption, type Command } from '../command.ts';
import { table } from '../help-text.ts';
import { test } from './test.ts';
import { removed, storeContext, withDomain, type StoreContext } from '../store-context.ts';

const ACTIONS: Actions<StoreContext> = {
  list: { options: ['json'], run: list },
  add: { words: ['FILE'], run: add },
  remove: { words: ['ISSUER'], run: remove },
  test: { words: ['TOKEN'], options: ['client'], run: test },
};

export const issuers: Command = {
  name: 'issuers',
  summary: 'list the trusted issuers; add some to the store, remove one; try a token',
  details: `issuers list            those of the configuration and those of the store
issuers add FILE        puts the issuer that FILE describes, or several under "trusted_issuers:", into the store, in the
                        form that they have in the configuration; the same issuer is replaced
issuers remove ISSUER   takes an issuer out of the store, and back what was issued for its tokens
issuers test TOKEN      says what a client would get for a token, or why it is refused; the token stays good, - reads it
                        from standard input

A running server on the same store knows of it at once.`,
  options: {
    ...configOption,
    json: { summary: 'for list: as JSON, with every setting' },
    client: {
      value: 'CLIENT_ID',
      summary: "for test: who brings the token (default: the first of the issuer's clients)",
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
    terminal.print(table([['issuer', 'stands for', 'clients', 'where'], ...rows], ''));
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
  return removed(context, {
    name: `issuer ${JSON.stringify(issuer)}`,
    wasStored: await withDomain(context, ({ operations }) => operations.removeIssuer(issuer)),
    isConfigured: context.chosen.config.trusted_issuers.some((one) => one.issuer === issuer),
    ends: `latchkey revoke --issuer ${issuer}`,
  });
}
