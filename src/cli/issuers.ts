import { loadIssuers } from '../config/load-issuers.ts';
import { printableStoreUrl } from '../config/store-url.ts';
import { openIssuers, type Issuers } from '../issuers/issuers.ts';
import { findAction, type Actions } from './actions.ts';
import { chooseConfig } from './choose-config.ts';
import { configOption, textOf, type Command } from './command.ts';
import { table } from './help-text.ts';
import { withStores, type IssuersScene } from './issuers-scene.ts';
import { test } from './issuers-test.ts';

const ACTIONS: Actions<IssuersScene> = {
  list: { options: ['json'], run: list },
  add: { word: 'FILE', run: add },
  remove: { word: 'ISSUER', run: remove },
  test: { word: 'TOKEN', options: ['client'], run: test },
};

export const issuers: Command = {
  name: 'issuers',
  summary: 'list the trusted issuers; add some to the store, remove one; try a token',
  details: `issuers list            those of the configuration and those of the store
issuers add FILE        puts the issuer that FILE describes, or several under "trusted_issuers:", into the store, in the
                        form that they have in the configuration; the same issuer is replaced
issuers remove ISSUER   takes an issuer out of the store
issuers test TOKEN      says what a client would get for a token, or which check refuses it; the token stays good

A running server on the same store knows of it at once.`,
  options: {
    ...configOption,
    json: { summary: 'for list: as JSON, with every setting' },
    client: {
      value: 'CLIENT_ID',
      summary: "for test: who brings the token (default: the first of the issuer's clients)",
    },
  },
  words: [Object.keys(ACTIONS).join('|'), 'FILE|ISSUER|TOKEN'],
  async run(given, terminal) {
    const { action, word } = findAction('issuers', ACTIONS, given);
    const chosen = chooseConfig(textOf(given, 'config'), terminal.environment);
    const { grants, records = grants } = chosen.config.stores;
    return action.run({ chosen, place: printableStoreUrl(records), given, terminal }, word);
  },
};

function withIssuers<T>(scene: IssuersScene, work: (issuers: Issuers) => Promise<T>): Promise<T> {
  const { trusted_issuers: configured } = scene.chosen.config;
  return withStores(scene, ({ records }) => work(openIssuers({ records, configured })));
}

async function list(scene: IssuersScene): Promise<number> {
  const { given, terminal } = scene;
  const all = await withIssuers(scene, async (issuers) => {
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

async function add(scene: IssuersScene, file: string): Promise<number> {
  const { chosen, place, terminal } = scene;
  const loaded = loadIssuers(file, chosen.config, terminal.environment);
  return withIssuers(scene, async (issuers) => {
    for (const issuer of loaded) {
      const known = await issuers.find(issuer.issuer);
      await issuers.save(issuer);
      terminal.print(`${known === undefined ? 'added' : 'replaced'} issuer "${issuer.issuer}" in ${place}`);
    }
    return 0;
  });
}

async function remove(scene: IssuersScene, issuer: string): Promise<number> {
  const { chosen, place, terminal } = scene;
  const name = `issuer ${JSON.stringify(issuer)}`;
  const source = chosen.file ?? 'the demo';
  const isConfigured = chosen.config.trusted_issuers.some((one) => one.issuer === issuer);
  if (await withIssuers(scene, (issuers) => issuers.remove(issuer))) {
    terminal.print(`removed ${name} from ${place}${isConfigured ? `; the one of ${source} stays` : ''}`);
    return 0;
  }
  const reason = isConfigured
    ? `${name} is of the configuration: remove it from ${source} and start the server again`
    : `there is no ${name} in ${place}`;
  terminal.warn(`latchkey: ${reason}`);
  return 1;
}
