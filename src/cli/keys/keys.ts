import { findAction, type Actions } from '../actions.ts';
import { chooseConfig } from '../choose-config.ts';
import { configOption, textOf, type Command } from '../command.ts';
import type { Config, SigningAlgorithm } from '../../config/schema.ts';
import { didYouMean } from '../../config/suggest.ts';
import { rotateNow } from '../../keys/transitions.ts';
import { durationText } from '../../lib/clock.ts';
import { list } from './list.ts';
import { revoke } from './revoke.ts';
import { rewrap } from './rewrap.ts';
import { printJson, withRing, type KeysContext, change, timeText } from './context.ts';

const ACTIONS: Actions<KeysContext> = {
  list: { options: ['json'], run: list },
  rotate: { options: ['json', 'alg'], run: rotate },
  revoke: { words: ['KID'], options: ['json', 'yes'], run: revoke },
  rewrap: { options: ['json', 'yes', 'to'], run: rewrap },
  'export-public': { options: ['json'], run: exportPublic },
};

export const keys: Command = {
  name: 'keys',
  summary: 'list, rotate or revoke signing keys, or change the master key',
  details: `keys list            lists all keys with their states and times
keys rotate          announces the next key now, before it is due: for every algorithm, or for --alg
keys revoke KID      revokes a key that may have leaked, and its tokens; another key signs at once
keys rewrap          seals all keys under a new master key, which replaces the current one
keys export-public   prints the public keys as /jwks shows them, for APIs that cannot fetch them

Put a KID that begins with a dash after two dashes: latchkey keys revoke --yes -- -KID

Running servers apply each change by themselves. Only rewrap needs a restart of the servers, and says when.`,
  options: {
    ...configOption,
    alg: { value: 'ALG', summary: 'for rotate: only this algorithm' },
    to: {
      value: 'FILE',
      summary: 'for rewrap: the file of the new master key; created if it does not exist, and never replaced',
    },
    json: { summary: 'print JSON' },
    yes: { summary: 'for revoke and rewrap: do not ask for confirmation' },
  },
  words: ['ACTION', '[KID]'],
  run(given, terminal) {
    const { action, words } = findAction(keys, ACTIONS, given);
    const chosen = chooseConfig(textOf(given, 'config'), terminal.environment, { mayLackFiles: true });
    return action.run({ chosen, config: chosen.config, options: given.options, terminal }, ...words);
  },
};

/** Prints the key set as `/jwks` shows it (RFC 7517 §5). */
function exportPublic(context: KeysContext): Promise<number> {
  return withRing(context, ({ snapshot }) => {
    printJson(context.terminal, { keys: snapshot.published });
    return Promise.resolve(0);
  });
}

function rotate(context: KeysContext): Promise<number> {
  const { config, options, terminal } = context;
  const algorithms = algorithmsOf(config, options['alg']);
  const isJson = options['json'] === true;
  return withRing(context, async (ring) => {
    const { domain, snapshot } = ring;
    if (!isJson) {
      const after = durationText(config.keys.announce);
      terminal.print(
        `announcing the next key of ${algorithms.join(', ')}; it begins to sign ${after} later, once APIs know it\n`,
      );
    }
    const content = await change(context, ring, (now, options) => rotateNow(now, algorithms, options));
    const before = new Set(snapshot.keys.map(({ kid }) => kid));
    const coming = content.keys
      .filter(({ alg, signsFrom }) => algorithms.includes(alg) && signsFrom > domain.clock.now())
      .map(({ kid, alg, signsFrom }) => ({ kid, algorithm: alg, signsFrom, isNew: !before.has(kid) }));
    if (isJson) printJson(terminal, coming.map((key) => ({ ...key, signsFrom: timeText(key.signsFrom) }))); // prettier-ignore
    for (const { kid, algorithm, signsFrom, isNew } of isJson ? [] : coming) {
      terminal.print(`${algorithm}  ${kid}  ${isNew ? 'announced' : 'was already announced'}, signs from ${timeText(signsFrom)}`); // prettier-ignore
    }
    return 0;
  });
}

function algorithmsOf({ keys }: Config, named: string | true | undefined): readonly SigningAlgorithm[] {
  if (named === undefined) return keys.algorithms;
  const found = keys.algorithms.filter((alg) => alg === named);
  if (found.length > 0) return found;
  const known = keys.algorithms.join(', ');
  throw new Error(
    `keys.algorithms does not list ${String(named)}: it has ${known}${didYouMean(String(named), keys.algorithms)}`,
  );
}
