import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type RingContent, type RingSnapshot, snapshotOf, stateIn } from '../../src/keys/ring.ts';
import { advance, dueFor, type Fresh, type RotationRules, without } from '../../src/keys/rotation.ts';
import type { Timetable } from '../../src/keys/timetable.ts';

const START = Date.UTC(2026, 0, 1);
const TIMETABLE: Timetable = {
  sign: 100,
  announce: 30,
  publish: 40,
  remember: 70,
  cookies: 80,
  skew: 5,
  cache: 10,
};
const RULES: RotationRules = { algorithms: ['ES256'], timetable: TIMETABLE };

let count = 0;
beforeEach(() => {
  count = 0;
});

/** Keys named in the order in which they are made. */
function fresh(due: ReturnType<typeof dueFor>): Fresh {
  const keys = due.algorithms.map((alg) => {
    const kid = `${alg}-${count++}`;
    return { kid, alg, publicJwk: { kty: 'EC', kid }, privateJwk: { kty: 'EC', kid, d: 'private' } };
  });
  const secret = `cookie-${count}`;
  return { keys, cookieKey: due.cookieKey ? { kid: secret, secret } : undefined };
}

/** What a node makes of the ring at a moment, in seconds from the start: all steps that are due. */
function stepped(content: RingContent, second: number, rules = RULES): RingContent {
  const now = START + second * 1000;
  const next = advance(content, now, rules, fresh(dueFor(content, now, rules)));
  return next === content ? content : stepped(next, second, rules);
}

function at(content: RingContent, second: number, { algorithms } = RULES): RingSnapshot {
  return snapshotOf(content, START + second * 1000, algorithms);
}

const namesOf = (keys: readonly { kid?: string }[]) => keys.map(({ kid }) => kid);
const states = (content: RingContent, second: number, rules = RULES) =>
  Object.fromEntries(
    content.keys.map(({ kid }) => [kid, stateIn(at(content, second, rules), kid, START + second * 1000)]),
  );
const able = ({ keys }: RingContent) => namesOf(keys.filter(({ privateJwk }) => privateJwk !== undefined));
const EMPTY: RingContent = { keys: [], cookieKeys: [], root: '' };

describe('Key rotation', () => {
  it('The last key keeps its private half past its time while no successor can be created', () => {
    const ring = advance(stepped(EMPTY, 0), START + 500_000, RULES, { keys: [] });
    assert.deepEqual(able(ring), ['ES256-0']);
    assert.deepEqual(states(ring, 500), { 'ES256-0': 'signing' });
  });

  it('Rotation announces a successor, switches to it, and retires and forgets the old key', () => {
    let ring = stepped(EMPTY, 0);
    assert.deepEqual(states(ring, 0), { 'ES256-0': 'signing' });
    assert.equal(stepped(ring, 69), ring, 'nothing is due before the announce time');

    ring = stepped(ring, 70);
    assert.deepEqual(states(ring, 70), { 'ES256-0': 'signing', 'ES256-1': 'announced' });
    assert.deepEqual(states(ring, 100), { 'ES256-0': 'retired', 'ES256-1': 'signing' });

    ring = stepped(ring, 104);
    assert.deepEqual(able(ring), ['ES256-0', 'ES256-1'], 'a clock that is behind may still need it');
    ring = stepped(ring, 105);
    assert.deepEqual(able(ring), ['ES256-1'], 'destroyed once it has retired on every clock');

    assert.deepEqual(namesOf(at(ring, 139).published), ['ES256-0', 'ES256-1']);
    assert.deepEqual(namesOf(at(ring, 140).published), ['ES256-1']);
    assert.deepEqual(namesOf(at(ring, 140).verifying), ['ES256-0'], 'hints are older than any token');
    assert.deepEqual(namesOf(stepped(ring, 170).keys), ['ES256-1', 'ES256-2']);
  });

  it('A late successor is announced for the full time, and the current key signs until then', () => {
    const ring = stepped(stepped(EMPTY, 0), 1000);
    assert.deepEqual(states(ring, 1029), { 'ES256-0': 'signing', 'ES256-1': 'announced' });
    assert.deepEqual(states(ring, 1030), { 'ES256-0': 'retired', 'ES256-1': 'signing' });
    assert.deepEqual(namesOf(at(ring, 1069).published), ['ES256-0', 'ES256-1']);
    assert.deepEqual(able(ring), ['ES256-0', 'ES256-1']);
  });

  it('Rotation announces several successive keys if keys sign for less time than they are announced', () => {
    const rules = { ...RULES, timetable: { ...TIMETABLE, sign: 10 } };
    let ring = stepped(EMPTY, 0, rules);
    const signers = new Set<string | undefined>();
    for (let second = 0; second <= 100; second += 5) {
      ring = stepped(ring, second, rules);
      const [signer] = at(ring, second).signing;
      signers.add(signer?.kid);
      assert.ok(signer?.kid === 'ES256-0' || START + second * 1000 - (signer?.announcedAt ?? 0) >= 30_000);
    }
    assert.equal(signers.size, 1 + 8);
  });

  it('A longer token lifetime also applies to retired keys', () => {
    const ring = stepped(stepped(stepped(EMPTY, 0), 70), 105);
    const longer = { ...RULES, timetable: { ...TIMETABLE, publish: 400, remember: 400 } };
    const prolonged = stepped(ring, 110, longer);
    assert.deepEqual(namesOf(at(prolonged, 499).published), ['ES256-0', 'ES256-1']);
    assert.equal(stepped(prolonged, 111, RULES), prolonged, 'a node with the old configuration does not take it back');
  });

  it('A new algorithm signs at once and does not affect the others', () => {
    const both = { ...RULES, algorithms: ['ES256', 'EdDSA'] as const };
    const ring = stepped(stepped(EMPTY, 0), 10, both);
    assert.deepEqual(states(ring, 10, both), { 'ES256-0': 'signing', 'EdDSA-1': 'signing' });
    assert.deepEqual(namesOf(at(ring, 10).signing), ['ES256-0'], 'a node without it does not sign with it');
    assert.deepEqual(namesOf(at(ring, 10).published), ['ES256-0', 'EdDSA-1'], 'but publishes it');
  });

  it('A removed algorithm ends at its regular time', () => {
    const both = { ...RULES, algorithms: ['ES256', 'EdDSA'] as const };
    let ring = stepped(EMPTY, 0, both);
    ring = stepped(ring, 70);
    assert.deepEqual(namesOf(ring.keys), ['EdDSA-1', 'ES256-0', 'ES256-2']);
    assert.deepEqual(able(stepped(ring, 104)), ['EdDSA-1', 'ES256-0', 'ES256-2']);
    ring = stepped(ring, 105);
    assert.deepEqual(able(ring), ['ES256-2']);
    assert.ok(namesOf(at(ring, 139).published).includes('EdDSA-1'));
    assert.ok(!namesOf(at(ring, 140).published).includes('EdDSA-1'));
    assert.ok(!namesOf(stepped(ring, 170).keys).includes('EdDSA-1'));
  });

  it('The cookie keys rotate too, and the old ones remain while cookies live', () => {
    let ring = stepped(EMPTY, 0);
    ring = stepped(ring, 70);
    assert.deepEqual(at(ring, 99).cookieKeys, ['cookie-1', 'cookie-2'], 'known before it signs');
    assert.deepEqual(at(ring, 100).cookieKeys, ['cookie-2', 'cookie-1']);
    ring = stepped(ring, 105);
    assert.deepEqual(at(ring, 179).cookieKeys, ['cookie-2', 'cookie-1']);
    assert.deepEqual(at(ring, 180).cookieKeys, ['cookie-2']);
    assert.ok(!stepped(ring, 180).cookieKeys.some(({ secret }) => secret === 'cookie-1'));
  });

  it('Rotation never leaves a moment without a signer, whatever the nodes do', () => {
    const steps = fc.array(fc.tuple(fc.nat(400), fc.constantFrom('step', 'revoke', 'without ES256')), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(steps, (list) => {
        let second = 0;
        let ring = stepped(EMPTY, 0);
        for (const [pause, action] of list) {
          second += pause;
          const [signer] = at(ring, second).signing;
          assert.ok(signer !== undefined);
          assert.ok(namesOf(at(ring, second).published).includes(signer.kid));
          if (action === 'revoke') ring = without(signer.kid, ring, START + second * 1000);
          if (action === 'without ES256') ring = stepped(ring, second, { ...RULES, algorithms: ['EdDSA'] });
          ring = stepped(ring, second);
          assert.ok(ring.keys.length <= 12, 'and never piles up keys');
        }
      }),
    );
  });
});

describe('Revoked keys', () => {
  const announced = () => stepped(stepped(EMPTY, 0), 70);

  it('A revoked signing key disappears at once, and the announced key signs', () => {
    const ring = without('ES256-0', announced(), START + 80_000);
    assert.deepEqual(states(ring, 80), { 'ES256-1': 'signing' });
    assert.deepEqual(namesOf(at(ring, 80).published), ['ES256-1']);
    assert.deepEqual(at(ring, 80).verifying, []);
  });

  it('A new key replaces a revoked key without a successor', () => {
    const ring = stepped(without('ES256-0', stepped(EMPTY, 0), START + 10_000), 10);
    assert.deepEqual(states(ring, 10), { 'ES256-1': 'signing' });
  });

  it('Another successor replaces a revoked key that was only announced', () => {
    const ring = stepped(without('ES256-1', announced(), START + 80_000), 80);
    assert.deepEqual(states(ring, 80), { 'ES256-0': 'signing', 'ES256-2': 'announced' });
    assert.deepEqual(states(ring, 110), { 'ES256-0': 'retired', 'ES256-2': 'signing' });
  });

  it('A revoked key that had retired is unpublished', () => {
    const ring = without('ES256-0', announced(), START + 110_000);
    assert.deepEqual(states(ring, 110), { 'ES256-1': 'signing' });
  });

  it('The revocation of an unknown key changes nothing', () => {
    const ring = announced();
    assert.equal(without('ES256-9', ring, START), ring);
  });
});
