import type { Config, SigningAlgorithm } from '../../config/schema.ts';
import { didYouMean } from '../../config/suggest.ts';
import { rotateNow } from '../../keys/transitions.ts';
import { durationText } from '../../lib/clock.ts';
import { change, printJson, timeText, withRing, type KeysContext } from './context.ts';

export function rotate(context: KeysContext): Promise<number> {
  const { config, options, terminal } = context;
  const algorithms = algorithmsOf(config, options['alg']);
  const isJson = options['json'] === true;
  return withRing(context, async (ring) => {
    const { domain, snapshot } = ring;
    if (!isJson) {
      const after = durationText(config.keys.announce);
      terminal.print(
        `announcing the next key of ${algorithms.join(', ')}; it signs ${after} later, when APIs know it\n`,
      );
    }
    const content = await change(context, ring, (now, options) => rotateNow(now, algorithms, options));
    const before = new Set(snapshot.keys.map(({ kid }) => kid));
    const coming = content.keys
      .filter(({ alg, signsFrom }) => algorithms.includes(alg) && signsFrom > domain.clock.now())
      .map(({ kid, alg, signsFrom }) => ({ kid, algorithm: alg, signsFrom, isNew: !before.has(kid) }));
    if (isJson) printJson(terminal, coming.map((key) => ({ ...key, signsFrom: timeText(key.signsFrom) }))); // prettier-ignore
    for (const { kid, algorithm, signsFrom, isNew } of isJson ? [] : coming) {
      terminal.print(`${algorithm}  ${kid}  ${isNew ? 'announced' : 'was announced before'}, signs from ${timeText(signsFrom)}`); // prettier-ignore
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
