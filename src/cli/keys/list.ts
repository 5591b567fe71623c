import { stateIn, type RingKey, type RingSnapshot } from '../../keys/ring.ts';
import type { KeyState } from '../../keys/timetable.ts';
import { table } from '../help-text.ts';
import { printJson, timeText, withRing, type KeysContext } from './context.ts';

/** The member of a key that holds the end of each state. */
const ENDS = {
  announced: 'signsFrom',
  signing: 'signsUntil',
  retired: 'publishedUntil',
  expired: 'rememberedUntil',
} as const satisfies Record<KeyState, keyof RingKey>;

export function list(context: KeysContext): Promise<number> {
  const { options, terminal } = context;
  return withRing(context, ({ domain, snapshot }) => {
    const keys = described(snapshot, domain.clock.now());
    if (options['json'] === true) printJson(terminal, keys);
    else terminal.print(table([['kid', 'algorithm', 'state', 'from', 'until', 'private key'], ...keys.map(rowOf)], ''));
    return Promise.resolve(0);
  });
}

type Described = ReturnType<typeof described>[number];

function described(ring: RingSnapshot, now: number) {
  return ring.keys
    .toSorted((a, b) => (a.alg === b.alg ? a.signsFrom - b.signsFrom : a.alg < b.alg ? -1 : 1))
    .map((key) => ({
      kid: key.kid,
      algorithm: key.alg,
      state: stateIn(ring, key.kid, now) ?? 'expired',
      announcedAt: timeText(key.announcedAt),
      signsFrom: timeText(key.signsFrom),
      signsUntil: timeText(key.signsUntil),
      publishedUntil: timeText(key.publishedUntil),
      rememberedUntil: timeText(key.rememberedUntil),
      privateHalf: privateHalfOf(key),
    }));
}

function privateHalfOf({ privateJwk, external }: RingKey): string {
  if (external !== undefined) return `HSM: ${external}`;
  return privateJwk === undefined ? 'destroyed' : 'ring';
}

function rowOf(key: Described): string[] {
  const from = key.state === 'announced' ? key.announcedAt : key.state === 'signing' ? key.signsFrom : key.signsUntil;
  return [key.kid, key.algorithm, key.state, from, key[ENDS[key.state]], key.privateHalf];
}
