import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type RingKey, type RingSnapshot, snapshotOf } from '../../src/keys/ring.ts';
import { type KeyState, keyState, type KeyTimes, newTimes, type Timetable } from '../../src/keys/timetable.ts';

const START = Date.UTC(2026, 0, 1);
const REST = { remember: 0, cookies: 0, skew: 0, cache: 0 };
const timetables: fc.Arbitrary<Timetable> = fc
  .record({
    sign: fc.integer({ min: 2, max: 1000 }),
    announce: fc.nat(1000),
    publish: fc.integer({ min: 1, max: 3000 }),
  })
  .map((timetable) => ({ ...REST, ...timetable, announce: timetable.announce % timetable.sign }));

const firstTimes = (now: number, timetable: Timetable): KeyTimes => newTimes(now, now, timetable);

/** What a ring of these keys says. */
const at = (keys: readonly RingKey[], now: number): RingSnapshot =>
  snapshotOf({ keys, cookieKeys: [], root: '' }, now, ['ES256', 'RS256']);

/** Keys in a row, each signing when the one before it ends, as rotation will make them. */
function row(timetable: Timetable, length: number): RingKey[] {
  const keys = [keyNamed('key-0', firstTimes(START, timetable))];
  for (let n = 1; n < length; n += 1) {
    const times = firstTimes(START + n * timetable.sign * 1000, timetable);
    keys.push(keyNamed(`key-${String(n)}`, { ...times, announcedAt: times.signsFrom - timetable.announce * 1000 }));
  }
  return keys;
}

function keyNamed(kid: string, times: ReturnType<typeof firstTimes>, alg: RingKey['alg'] = 'ES256'): RingKey {
  return { kid, alg, publicJwk: { kty: 'EC', kid }, privateJwk: { kty: 'EC', kid, d: 'private' }, ...times };
}

const namesOf = (keys: readonly { kid?: string }[]): (string | undefined)[] => keys.map((key) => key.kid);
const signersAt = (keys: readonly RingKey[], now: number) => namesOf(at(keys, now).signing);
const publishedAt = (keys: readonly RingKey[], now: number) => namesOf(at(keys, now).published);

describe('The timetable of a key', () => {
  it('A key passes through its states in order and never back', () => {
    const order: KeyState[] = ['announced', 'signing', 'retired', 'expired'];
    const moments = fc.array(fc.integer({ min: -10_000, max: 5_000_000 }), { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(timetables, moments, (timetable, offsets) => {
        const times = firstTimes(START, timetable);
        const states = offsets
          .toSorted((a, b) => a - b)
          .map((offset) => order.indexOf(keyState(times, START + offset)));
        assert.deepEqual(states, states.toSorted());
      }),
    );
  });

  it('A key changes state at the exact millisecond', () => {
    const times = { announcedAt: 0, signsFrom: 10, signsUntil: 20, publishedUntil: 30, rememberedUntil: 40 };
    const states = [9, 10, 19, 20, 29, 30].map((now) => keyState(times, now));
    assert.deepEqual(states, ['announced', 'signing', 'signing', 'retired', 'retired', 'expired']);
  });

  it('A first key signs at once', () => {
    const times = firstTimes(START, { ...REST, sign: 60, announce: 10, publish: 30, remember: 50 });
    assert.deepEqual(times, {
      announcedAt: START,
      signsFrom: START,
      signsUntil: START + 60_000,
      publishedUntil: START + 90_000,
      rememberedUntil: START + 110_000,
    });
  });
});

describe('A ring of successive keys', () => {
  const rings = timetables.chain((timetable) =>
    fc.record({
      timetable: fc.constant(timetable),
      keys: fc.integer({ min: 1, max: 5 }).map((length) => row(timetable, length)),
      signedAt: fc.integer({ min: -10_000, max: timetable.sign * 6000 }).map((offset) => START + offset),
      later: fc.integer({ min: 0, max: timetable.publish * 1000 - 1 }),
      skew: fc.integer({ min: 0, max: timetable.announce * 1000 }),
    }),
  );

  it('A key ring has one signer at every moment, before, during and after its timetable', () => {
    fc.assert(fc.property(rings, ({ keys, signedAt }) => assert.equal(signersAt(keys, signedAt).length, 1)));
  });

  it('A key ring publishes a signer until the tokens that it signed on time have expired', () => {
    fc.assert(
      fc.property(rings, ({ keys, signedAt, later }) => {
        const last = keys.at(-1);
        fc.pre(last !== undefined && signedAt < last.signsUntil);
        const [signer] = signersAt(keys, signedAt);
        assert.ok(publishedAt(keys, signedAt + later).includes(signer));
      }),
    );
  });

  it('A key ring publishes every signer to clients that fetched it within the announce time before', () => {
    fc.assert(
      fc.property(rings, ({ keys, signedAt, skew }) => {
        const [signer] = signersAt(keys, signedAt);
        assert.ok(signer !== undefined);
        assert.ok(publishedAt(keys, signedAt - skew).includes(signer));
      }),
    );
  });

  it('A key ring gives the same answers whatever the order of its keys', () => {
    const shuffled = rings.chain((ring) =>
      fc.shuffledSubarray(ring.keys, { minLength: ring.keys.length }).map((other) => ({ ...ring, other })),
    );
    fc.assert(
      fc.property(shuffled, ({ keys, other, signedAt }) => {
        assert.deepEqual(signersAt(other, signedAt), signersAt(keys, signedAt));
        const published = publishedAt(other, signedAt);
        assert.deepEqual(published.toSorted(), publishedAt(keys, signedAt).toSorted());
      }),
    );
  });
});

describe('The signing keys of a ring', () => {
  const timetable = { ...REST, sign: 100, announce: 10, publish: 50 };
  const long = START + 1_000_000_000;

  it('A key ring has one signing key per algorithm', () => {
    const times = firstTimes(START, timetable);
    const keys = [keyNamed('a', times, 'ES256'), keyNamed('b', times, 'RS256')];
    assert.deepEqual(signersAt(keys, START).toSorted(), ['a', 'b']);
  });

  it('All nodes choose the same signer if two keys begin at once', () => {
    const times = firstTimes(START, timetable);
    const [a, b] = [keyNamed('a', times), keyNamed('b', times)];
    assert.deepEqual(signersAt([a, b], START), signersAt([b, a], START));
  });

  it('A key without a successor keeps signing past its time and stays published', () => {
    const keys = row(timetable, 1);
    assert.deepEqual(signersAt(keys, long), ['key-0']);
    assert.deepEqual(publishedAt(keys, long), ['key-0']);
  });

  it('A key makes way for its successor and is later unpublished', () => {
    const keys = row(timetable, 2);
    assert.deepEqual(publishedAt(keys, START + 100_000), ['key-0', 'key-1']);
    assert.deepEqual(publishedAt(keys, START + 150_000), ['key-1']);
  });

  it('A node whose clock is behind signs with the first key', () => {
    assert.deepEqual(signersAt(row(timetable, 2), START - 5000), ['key-0']);
  });

  it('A key whose private half is destroyed never signs', () => {
    const [first, second] = row(timetable, 2);
    assert.ok(first !== undefined && second !== undefined);
    const { privateJwk: destroyed, ...publicOnly } = second;
    assert.ok(destroyed !== undefined);
    assert.deepEqual(signersAt([first, publicOnly], START + 150_000), ['key-0']);
  });
});
