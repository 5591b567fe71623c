import { usualAlgorithm } from '../../config/sections/profiles.ts';
import type { ClientConfig, Config, SigningAlgorithm } from '../../config/schema.ts';
import { didYouMean } from '../../config/suggest.ts';
import { stateIn, type RingKey } from '../../keys/ring.ts';
import { without } from '../../keys/rotation.ts';
import { revokeNow } from '../../keys/transitions.ts';
import { pollingPeriod, timetableOf, type KeyState } from '../../keys/timetable.ts';
import { durationText } from '../../lib/clock.ts';
import { confirmed } from '../command.ts';
import { change, printJson, snapshotNow, timeText, withRing, type KeysContext } from './context.ts';
import { bullets } from '../help-text.ts';

export function revoke(context: KeysContext, kid: string): Promise<number> {
  const { config, options, terminal } = context;
  return withRing(context, async (ring) => {
    const { domain, content, snapshot } = ring;
    const key = snapshot.keys.find((one) => one.kid === kid);
    if (key === undefined) {
      const hint = didYouMean(kid, snapshot.keys.map((one) => one.kid)); // prettier-ignore
      terminal.warn(`latchkey: there is no key ${JSON.stringify(kid)}${hint}; "latchkey keys list" shows all`);
      return 1;
    }
    const state = stateIn(snapshot, kid, domain.clock.now()) ?? 'expired';
    const rest = snapshotNow(domain, without(kid, content, domain.clock.now()));
    const nextSigner = rest.signing.find(({ alg }) => alg === key.alg)?.kid;
    if (!(await confirmed(options, terminal, planFor(key, state, nextSigner, config)))) return 1;
    let afterRevocation = content;
    await domain.operations.revokeKey(kid, async () => {
      afterRevocation = await change(context, ring, (now, options) => revokeNow(now, kid, options));
    });
    const signer = snapshotNow(domain, afterRevocation).signing.find(({ alg }) => alg === key.alg);
    if (options['json'] === true)
      printJson(terminal, { revoked: kid, algorithm: key.alg, signing: signer?.kid ?? null });
    else terminal.print(`revoked ${kid}${signer === undefined ? '' : `; ${signer.kid} now signs ${key.alg}`}`);
    return 0;
  });
}

/** Describes the effects of revoking a key, and when and where they happen. */
function planFor(key: RingKey, state: KeyState, nextSigner: string | undefined, config: Config): string {
  const everyNode = durationText(Math.ceil(pollingPeriod(timetableOf(config))));
  const everyApi = durationText(config.keys.jwks_max_age);
  const lines = [
    `every node removes it from /jwks within ${everyNode}; an API that caches /jwks may use it for ${everyApi} longer`,
    ...(state === 'signing' ? [`${nextSigner ?? 'a new key'} signs from now on`] : []),
    ...(state === 'announced' ? ['it has signed nothing'] : refusedTokens(key.alg, config)),
    ...(key.external === undefined ? [] : [`its private key is destroyed in the HSM: ${key.external}`]),
    'sessions and refresh tokens stay valid, so apps can get new tokens',
  ];
  const since = timeText(state === 'announced' ? key.announcedAt : key.signsFrom);
  return `revoking ${key.alg} key ${key.kid}, ${state} since ${since}\n${bullets(lines)}`;
}

function refusedTokens(alg: SigningAlgorithm, { resources, clients, keys, profile }: Config): string[] {
  const idTokenAlgorithm = (one: ClientConfig) =>
    one.id_token_signing_alg ?? usualAlgorithm(keys.algorithms, one.profile ?? profile);
  const apis = resources.filter((one) => one.signing_alg === alg).map(({ identifier }) => identifier);
  const apps = clients
    .filter((one) => one.type !== 'machine' && idTokenAlgorithm(one) === alg)
    .map(({ client_id: id }) => id);
  return [
    `access tokens that it has signed become invalid, for ${apis.join(', ') || 'no configured API'}`,
    `ID tokens that it has signed become invalid, for ${apps.join(', ') || 'no configured app'} and for apps in the store that use ${alg}`,
  ];
}
