import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { calculateJwkThumbprint, createLocalJWKSet, importJWK, type JWK, jwtVerify, SignJWT } from 'jose';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { type KeyRing, type KeyRingOptions, openKeyRing } from '../../src/keys/key-ring.ts';
import { MasterKeyError } from '../../src/keys/master-key-error.ts';
import { type MasterKey, openMasterKey } from '../../src/keys/master-key.ts';
import { ringRecords, type RingStore } from '../../src/keys/ring-record.ts';
import { changeRing, revokeNow } from '../../src/keys/transitions.ts';
import { newKey } from '../../src/keys/rotation.ts';
import type { RingContent, RingSnapshot } from '../../src/keys/ring.ts';
import { newTimes, type Timetable } from '../../src/keys/timetable.ts';
import { type Store, StoreUnavailable } from '../../src/storage/store.ts';
import { startRedis } from '../support/redis.ts';
import { openSqliteStore } from '../../src/storage/sqlite/sqlite-store.ts';

const NOW = Date.UTC(2026, 0, 1);
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'] as const;
let now = NOW;
const clock: Clock = { now: () => now };
const TIMETABLE: Timetable = {
  sign: 3600,
  announce: 600,
  publish: 1800,
  remember: 7200,
  cookies: 7200,
  skew: 10,
  cache: 60,
};

describe('The key ring', () => {
  let directory: string;
  let file: string;
  let records: Store;
  let masterKey: MasterKey;
  let opened: KeyRing[];

  beforeEach(async () => {
    now = NOW;
    directory = await mkdtemp(join(tmpdir(), 'latchkey-key-ring-'));
    file = join(directory, 'records.db');
    records = openSqliteStore(file, systemClock);
    masterKey = await openMasterKey(join(directory, 'keys'), { create: true, random: systemRandom });
    opened = [];
  });
  afterEach(async () => {
    await Promise.all(opened.map((ring) => ring.close()));
    await records.close();
    await rm(directory, { recursive: true });
  });

  async function openRing(options: Partial<KeyRingOptions> = {}): Promise<KeyRing> {
    const algorithms = ['ES256'] as const;
    const ring = await openKeyRing({
      records,
      masterKey,
      clock,
      random: systemRandom,
      algorithms,
      timetable: TIMETABLE,
      ...options,
    });
    opened.push(ring);
    return ring;
  }

  const otherMasterKey = (): Promise<MasterKey> =>
    openMasterKey(join(directory, 'other-keys'), { create: true, random: systemRandom });

  /** The ring as another node's rotation would leave it: with a second key, which takes over in a millisecond. */
  async function rotated(): Promise<{ content: RingContent; version: number; kid: string }> {
    const stored = await ringRecords(records, masterKey).read();
    assert.ok(stored !== undefined);
    const key = { ...(await newKey('ES256')), ...newTimes(NOW, NOW + 1, TIMETABLE) };
    return {
      content: { ...stored.content, keys: [...stored.content.keys, key] },
      version: stored.version,
      kid: key.kid,
    };
  }

  async function rotateElsewhere(sealedBy: MasterKey = masterKey): Promise<string> {
    const { content, version, kid } = await rotated();
    assert.ok(await ringRecords(records, sealedBy).write(content, version));
    return kid;
  }

  /** The same, but the hint is lost, and the version does not grow, as after a failover to a replica that was behind. */
  async function rotateUnheard(): Promise<string> {
    const { content, kid } = await rotated();
    await records.delete('key-ring:main');
    await records.create('key-ring:main', { sealed: await masterKey.seal(JSON.stringify(content), 'key-ring:main') });
    return kid;
  }

  describe('A new ring', () => {
    it('A new key ring has one signing key per algorithm, and its thumbprint is the kid', async () => {
      const ring = (await openRing({ algorithms: ['ES256', 'RS256'] })).current();
      assert.deepEqual(ring.signing.map((key) => key.alg).toSorted(), ['ES256', 'RS256']);
      for (const key of ring.keys) assert.equal(key.kid, await calculateJwkThumbprint(key.publicJwk));
    });

    it('A new key ring has RSA keys of 2048 bits', async () => {
      const [key] = (await openRing({ algorithms: ['RS256'] })).current().keys;
      assert.equal(Buffer.from(key?.publicJwk.n ?? '', 'base64url').length * 8, 2048);
    });

    it('Twenty openers of an empty store get the same key ring', async () => {
      const rings = await Promise.all(Array.from({ length: 20 }, () => openRing({ algorithms: ['ES256', 'RS256'] })));
      assert.equal(new Set(rings.map((ring) => JSON.stringify(essenceOf(ring.current())))).size, 1);
      assert.equal(rings[0]?.current().keys.length, 2);
    });

    /** What processes that start at once on nothing but a master key get, each. */
    async function startedAtOnce(count: number, url: string): Promise<string[]> {
      const program = fileURLToPath(new URL('open-ring.ts', import.meta.url));
      const arguments_ = [program, url, join(directory, 'shared-keys')];
      const runs = Array.from({ length: count }, () => promisify(execFile)(process.execPath, arguments_));
      return (await Promise.all(runs)).map((run) => run.stdout);
    }
    const ONE_KEY_EACH = /^\{"keys":\[\["ES256","[\w-]{43}"\],\["RS256","[\w-]{43}"\]\],"derived":"\w{64}"\}\n$/;

    it('Four processes that start at once with an empty store get the same key ring', async () => {
      const outputs = await startedAtOnce(4, `sqlite:${join(directory, 'shared.db')}`);
      assert.equal(new Set(outputs).size, 1, outputs.join(''));
      assert.match(outputs[0] ?? '', ONE_KEY_EACH);
    });

    it('Twenty processes that start at once with an empty Redis get the same key ring', async function () {
      this.timeout(60_000);
      const redis = await startRedis({ appendonly: true });
      try {
        const outputs = await startedAtOnce(20, redis.url);
        assert.equal(outputs.length, 20);
        assert.equal(new Set(outputs).size, 1, outputs.join(''));
        assert.match(outputs[0] ?? '', ONE_KEY_EACH);
      } finally {
        await redis.stop();
      }
    });
  });

  describe('An existing ring', () => {
    it('A reopened key ring is unchanged', async () => {
      const before = (await openRing()).current();
      await records.close();
      records = openSqliteStore(file, systemClock);
      assert.deepEqual(essenceOf((await openRing()).current()), essenceOf(before));
    });

    it('A reopened key ring gets a first key for an added algorithm and keeps the others', async () => {
      const before = (await openRing()).current();
      const rings = await Promise.all(Array.from({ length: 10 }, () => openRing({ algorithms: ['ES256', 'RS256'] })));
      const after = rings.map((ring) => ring.current().keys.map((key) => key.kid));
      assert.equal(new Set(after.map(String)).size, 1);
      assert.equal(after[0]?.length, 2);
      assert.equal(after[0][0], before.keys[0]?.kid);
      assert.equal(rings[0]?.current().derive('csrf').toString('hex'), before.derive('csrf').toString('hex'));
    });

    it('A key ring does not open under another master key, and remains unchanged', async () => {
      const before = essenceOf((await openRing()).current());
      const other = await otherMasterKey();
      await assert.rejects(openRing({ masterKey: other }), (error) => {
        assert.ok(error instanceof MasterKeyError);
        assert.equal(error.reason, 'wrong');
        assert.equal(
          error.message,
          `${other.path} is not the master key of this store: the file holds key ${other.id}, but the store is sealed under ` +
            `${masterKey.id}. Put the master key of this store back. If it is lost, keys/README.md says what you can do.`,
        );
        return true;
      });
      assert.deepEqual(essenceOf((await openRing()).current()), before);
    });

    it('A key ring does not open if its record was forged', async () => {
      await openRing();
      const forged = await masterKey.seal(JSON.stringify({ keys: [], cookieKeys: [], root: '' }), 'something else');
      await records.set('key-ring:main', { sealed: forged });
      await assert.rejects(openRing(), { name: 'MasterKeyError', reason: 'damaged' });
    });
  });

  describe('A stored ring', () => {
    it('The stored key ring reveals no private key and no secret', async () => {
      const ring = (await openRing({ algorithms: ['ES256', 'RS256'] })).current();
      const secrets = [...ring.keys.flatMap((key) => privateMembersOf(key.privateJwk)), ...ring.cookieKeys];
      secrets.push(ring.derive('csrf').toString('base64url'));
      assert.equal(secrets.length, 1 + 6 + 1 + 1);
      const names = (await readdir(directory)).filter((name) => name.startsWith('records.db'));
      const bytes = Buffer.concat(await Promise.all(names.map((name) => readFile(join(directory, name)))));
      assert.ok(bytes.includes('key-ring:main'), 'the search looks at the right bytes');
      for (const secret of secrets) {
        assert.ok(!bytes.includes(secret));
        assert.ok(!bytes.includes(Buffer.from(secret, 'base64url')));
        assert.ok(!bytes.includes(Buffer.from(secret, 'base64url').toString('hex')));
      }
    });
  });

  describe('A published ring', () => {
    it('The published keys verify the key ring’s signatures by kid', async () => {
      const ring = (await openRing({ algorithms: ['ES256', 'RS256'] })).current();
      const jwks = createLocalJWKSet({ keys: [...ring.published] });
      for (const { alg, kid, privateJwk } of ring.signing) {
        assert.ok(privateJwk !== undefined);
        const jwt = await new SignJWT({ sub: 'alice' })
          .setProtectedHeader({ alg, kid })
          .sign(await importJWK(privateJwk, alg));
        assert.equal((await jwtVerify(jwt, jwks)).payload.sub, 'alice');
      }
    });

    it('The published keys have only public members, each with kid, alg and use', async () => {
      const ring = (await openRing({ algorithms: ['ES256', 'RS256'] })).current();
      const shown = ring.published.map((jwk) => Object.keys(jwk).toSorted().join(' '));
      assert.deepEqual(shown, ['alg crv kid kty use x y', 'alg e kid kty n use']);
      assert.deepEqual(
        ring.published.map((jwk) => jwk.use),
        ['sig', 'sig'],
      );
    });
  });

  describe('Derived secrets', () => {
    it('Derived secrets differ by label and key ring, and survive a restart', async () => {
      const first = (await openRing()).current();
      const again = (await openRing()).current();
      const labels = ['csrf', 'dpop-nonce', 'pairwise', ''];
      const secrets = labels.map((label) => first.derive(label).toString('hex'));
      assert.equal(new Set(secrets).size, labels.length);
      assert.deepEqual(
        labels.map((label) => again.derive(label).toString('hex')),
        secrets,
      );
      assert.ok(secrets.every((secret) => secret.length === 64));

      const elsewhere = openSqliteStore(join(directory, 'elsewhere.db'), systemClock);
      const other = await openRing({ records: elsewhere });
      assert.notEqual(other.current().derive('csrf').toString('hex'), secrets[0]);
      await other.close();
      await elsewhere.close();
    });
  });

  describe('A ring that another node changes', () => {
    it('A refresh reads the key ring again and tells whether it has changed', async () => {
      const ring = await openRing();
      const before = ring.current();
      assert.equal(await ring.refresh(), false);
      assert.equal(ring.current(), before);
      const heard: RingSnapshot[] = [];
      ring.onChange((snapshot) => heard.push(snapshot));

      const kid = await rotateUnheard();
      now = NOW + 1;
      assert.deepEqual(await Promise.all([ring.refresh(), ring.refresh()]), [true, true], 'one look for both');
      assert.equal(await ring.refresh(), false);
      assert.deepEqual(namesOf(ring.current().signing), [kid]);
      assert.deepEqual(heard, [ring.current()]);
      assert.equal(before.keys.length, 1, 'a snapshot in use does not change');
    });

    it('A node that missed the notice reads the key ring again before the new key signs', async () => {
      const ring = await openRing({ timetable: { ...TIMETABLE, announce: 71 } });
      const changed = new Promise<RingSnapshot>((resolve) => ring.onChange(resolve));
      const kid = await rotateUnheard();
      assert.equal((await changed).keys.at(-1)?.kid, kid);
    });

    it('A node drops a revoked key even if no notice can be sent', async () => {
      const ring = await openRing({ timetable: { ...TIMETABLE, announce: 71 } });
      const kid = ring.current().signing[0]?.kid ?? '';
      const changed = new Promise<RingSnapshot>((resolve) => ring.onChange(resolve));
      const mute: RingStore = {
        get: (key) => records.get(key),
        create: (key, value) => records.create(key, value),
        replace: (key, value, version) => records.replace(key, value, version),
        publish: () => Promise.reject(new StoreUnavailable('no hints')),
        subscribe: () => Promise.resolve(() => Promise.resolve()),
      };
      const steps = { clock, random: systemRandom, algorithms: ['ES256'] as const, timetable: TIMETABLE };
      await changeRing(ringRecords(mute, masterKey), steps, (content) => revokeNow(content, kid, steps));
      const after = await changed;
      assert.equal(after.signing.length, 1);
      assert.ok(!namesOf(after.keys).includes(kid));
    });

    it('A notice makes a node read the key ring again', async () => {
      const ring = await openRing();
      const changed = new Promise<RingSnapshot>((resolve) => ring.onChange(resolve));
      const kid = await rotateElsewhere();
      assert.equal((await changed).keys.at(-1)?.kid, kid);
    });

    it('A listener that has stopped hears nothing more', async () => {
      const ring = await openRing();
      const stop = ring.onChange(() => assert.fail('was told'));
      stop();
      await rotateElsewhere();
      await ring.refresh();
      assert.equal(ring.current().keys.length, 2);
    });

    it('A node that has not read the key ring for too long waits for it, as after a pause of the machine', async () => {
      const ring = await openRing();
      const kid = await rotateUnheard();
      now = NOW + (TIMETABLE.announce - TIMETABLE.cache - TIMETABLE.skew) * 1000;
      assert.equal(ring.overdue(), undefined, 'no key that this node does not know signs before /jwks is let go');
      now += 1;
      await ring.overdue();
      assert.equal(ring.current().keys.at(-1)?.kid, kid);
      assert.equal(ring.overdue(), undefined);
    });

    it('A node can change a key ring whose record differs only in its version, as after a failover', async () => {
      const ring = await openRing();
      const stored = await records.get<{ sealed: string }>('key-ring:main');
      assert.ok(stored !== undefined);
      await records.set('key-ring:main', stored.value);
      now = (ring.current().keys[0]?.signsUntil ?? 0) - 1;
      assert.equal(await ring.refresh(), true);
      assert.ok(ring.current().keys.length > 1);
    });

    it('The age of a key ring counts from the start of the read, however long the store took', async () => {
      let slow = 0;
      const ring = await openRing({
        records: {
          async get(key) {
            const stored = await records.get(key);
            now += slow;
            return stored;
          },
          create: (key, value) => records.create(key, value),
          replace: (key, value, version) => records.replace(key, value, version),
          publish: (channel, message) => records.publish(channel, message),
          subscribe: () => Promise.resolve(() => Promise.resolve()),
        },
      });
      slow = TIMETABLE.announce * 1000;
      await ring.refresh();
      slow = 0;
      assert.notEqual(ring.overdue(), undefined);
      await ring.overdue();
      assert.equal(ring.overdue(), undefined);
    });

    it('An unreadable key ring delays requests only once', async () => {
      const failures: unknown[] = [];
      let isAway = false;
      const ring = await openRing({
        records: {
          get: (key) => (isAway ? Promise.reject(new StoreUnavailable('away')) : records.get(key)),
          create: (key, value) => records.create(key, value),
          replace: (key, value, version) => records.replace(key, value, version),
          publish: (channel, message) => records.publish(channel, message),
          subscribe: () => Promise.resolve(() => Promise.resolve()),
        },
        reportFailure: (error) => failures.push(error),
      });
      await rotateUnheard();
      isAway = true;
      now = NOW + TIMETABLE.announce * 1000;
      await Promise.all(Array.from({ length: 20 }, () => ring.overdue() ?? assert.fail()));
      assert.equal(failures.length, 1, 'one look for all');
      assert.equal(ring.overdue(), undefined);
      isAway = false;
      now += 60_000;
      await ring.overdue();
      assert.equal(ring.current().keys.length, 2);
    });

    it('A key ring that does not open is reported, and the node keeps the previous one', async () => {
      const failed = Promise.withResolvers<unknown>();
      const ring = await openRing({ reportFailure: failed.resolve });
      await rotateElsewhere(await otherMasterKey());
      const error = await failed.promise;
      assert.ok(error instanceof MasterKeyError && error.reason === 'wrong');
      assert.equal(ring.current().keys.length, 1);
      await assert.rejects(ring.refresh(), { reason: 'wrong' });
    });

    it('A node keeps its key ring if the record is gone', async () => {
      const ring = await openRing();
      const before = ring.current();
      await records.delete('key-ring:main');
      assert.equal(await ring.refresh(), false);
      assert.equal(ring.current(), before);
    });
  });

  describe('A ring over time', () => {
    const later = (seconds: number): void => {
      now = NOW + seconds * 1000;
    };

    it('A key ring announces the next key, signs with it and destroys the retired one on its own', async () => {
      const ring = await openRing();
      const first = ring.current().signing[0]?.kid;
      later(TIMETABLE.sign - TIMETABLE.announce);
      assert.equal(await ring.refresh(), true);
      const second = ring.current().keys[1]?.kid;
      assert.deepEqual(namesOf(ring.current().signing), [first]);
      assert.equal(ring.current().published.length, 2);

      later(TIMETABLE.sign);
      assert.deepEqual(namesOf(ring.current().signing), [second], 'without reading anything');
      later(TIMETABLE.sign + TIMETABLE.skew);
      await ring.refresh();
      const stored = await ringRecords(records, masterKey).read();
      assert.deepEqual(namesOf(stored?.content.keys.filter((key) => key.privateJwk !== undefined) ?? []), [second]);
    });

    it('Twenty nodes that find a key due at once create one successor', async () => {
      const rings = await Promise.all(Array.from({ length: 20 }, () => openRing()));
      later(TIMETABLE.sign - TIMETABLE.announce);
      await Promise.all(rings.map((ring) => ring.refresh()));
      const seen = rings.map((ring) => namesOf(ring.current().keys).join());
      assert.equal(new Set(seen).size, 1);
      assert.equal(rings[0]?.current().keys.length, 2);
    });

    it('Listeners hear that another key signs, even without a read', async () => {
      const timetable = { ...TIMETABLE, sign: 1, announce: 1 };
      const ring = await openRing({ timetable, clock: systemClock });
      const [first] = ring.current().signing;
      const change = await new Promise<RingSnapshot>((resolve) => ring.onChange(resolve));
      assert.notEqual(change.signing[0]?.kid, first?.kid);
      assert.equal(change, ring.current());
    });

    it('A failing listener does not keep the others from hearing of a change', async () => {
      const failures: unknown[] = [];
      const ring = await openRing({ reportFailure: (error) => failures.push(error) });
      const failure = new Error('this listener is broken');
      ring.onChange(() => {
        throw failure;
      });
      const heard: RingSnapshot[] = [];
      ring.onChange((snapshot) => heard.push(snapshot));
      later(TIMETABLE.sign - TIMETABLE.announce);
      await ring.refresh();
      assert.deepEqual(heard, [ring.current()]);
      assert.deepEqual(failures, [failure]);
    });

    it('A closed key ring notifies nobody, even if it was being read', async () => {
      const ring = await openRing();
      ring.onChange(() => assert.fail('was told'));
      later(TIMETABLE.sign - TIMETABLE.announce);
      const refreshing = ring.refresh();
      await ring.close();
      assert.equal(await refreshing, true);
    });
  });
});

function essenceOf(ring: RingSnapshot): unknown {
  return { ...ring, derive: ring.derive('essence').toString('hex') };
}

function namesOf(keys: readonly { kid: string }[]): string[] {
  return keys.map((key) => key.kid);
}

function privateMembersOf(jwk: JWK | undefined): string[] {
  return PRIVATE_MEMBERS.flatMap((member) => jwk?.[member] ?? []);
}
