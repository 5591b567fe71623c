import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom } from '../../src/lib/random.ts';
import { newId } from '../../src/lib/ids.ts';
import { SignerUnavailable, type ExternalSigner } from '../../src/keys/external-signing.ts';
import { openKeyRing, type KeyRing, type KeyRingOptions } from '../../src/keys/key-ring.ts';
import { openMasterKey, type MasterKey } from '../../src/keys/master-key.ts';
import { openPkcs11Signer } from '../../src/keys/pkcs11/pkcs11-signer.ts';
import { ringRecords } from '../../src/keys/ring-record.ts';
import type { RingContent } from '../../src/keys/ring.ts';
import { changeRing, revokeNow, type TransitionOptions } from '../../src/keys/transitions.ts';
import type { Timetable } from '../../src/keys/timetable.ts';
import { freshToken, withoutHsm, type Pkcs11 } from '../support/softhsm.ts';
import { dyingStore, temporaryStore, type TemporaryStore } from '../support/temporary-store.ts';

const TIMETABLE: Timetable = {
  sign: 36_000,
  announce: 600,
  publish: 1800,
  remember: 7200,
  cookies: 7200,
  skew: 10,
  cache: 60,
};
const HOUR = 3600;

describe('Keys in an HSM', () => {
  let token: Pkcs11;
  let hsm: ExternalSigner;
  let directory: string;
  let masterKey: MasterKey;
  let temporary: TemporaryStore;
  let opened: KeyRing[];
  let failures: unknown[];
  let owner: string;

  before(async () => {
    token = freshToken();
    hsm = await openPkcs11Signer(token, ['ES256']);
  });
  after(() => hsm.close());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'latchkey-external-keys-'));
    masterKey = await openMasterKey(directory, { create: true, random: systemRandom });
    temporary = temporaryStore();
    opened = [];
    failures = [];
    owner = '';
  });
  afterEach(async () => {
    await Promise.all(opened.map((ring) => ring.close()));
    await temporary.remove();
    await rm(directory, { recursive: true });
  });

  /** The one HSM, which outlives each ring, and tells under which name it keeps the ring's keys. */
  const shared = (): ExternalSigner => ({
    ...hsm,
    names: (name) => hsm.names((owner = name)),
    close: () => Promise.resolve(),
  });

  const steps = (options: Partial<TransitionOptions> = {}): TransitionOptions => ({
    clock: temporary.clock,
    random: systemRandom,
    algorithms: ['ES256'],
    timetable: TIMETABLE,
    external: { signer: shared(), makesNewKeys: true },
    reportFailure: (error) => failures.push(error),
    ...options,
  });

  async function openRing(options: Partial<KeyRingOptions> = {}): Promise<KeyRing> {
    const ring = await openKeyRing({ ...steps(options), records: temporary.store, masterKey, ...options });
    opened.push(ring);
    return ring;
  }

  const content = async (): Promise<RingContent> => {
    const stored = await ringRecords(temporary.store, masterKey).read();
    assert.ok(stored !== undefined);
    return stored.content;
  };
  /** What the ring mentions. */
  const mentioned = async (): Promise<string[]> =>
    (await content()).keys.flatMap(({ external }) => external ?? []).toSorted();
  /** What is there for this test's ring. */
  const present = async (): Promise<string[]> => (await hsm.names(owner)).toSorted();

  it('The HSM creates the keys, and the ring holds no private half', async () => {
    const ring = await openRing();
    const [key] = ring.current().signing;
    assert.ok(key !== undefined);
    assert.deepEqual(await present(), [key.external]);
    assert.doesNotMatch(JSON.stringify(await content()), /"d":|privateJwk/);
  });

  it('Nodes that start at once share one key, and the surplus keys are destroyed', async () => {
    const rings = await Promise.all(Array.from({ length: 5 }, () => openRing()));
    assert.equal(new Set(rings.map((ring) => ring.current().signing[0]?.kid)).size, 1);
    assert.equal((await present()).length, 1);
  });

  it('Keys in the HSM rotate like others, and retired keys are destroyed there', async () => {
    const ring = await openRing();
    const first = await present();
    temporary.clock.advance(TIMETABLE.sign - TIMETABLE.announce);
    await ring.refresh();
    assert.equal((await present()).length, 2);
    temporary.clock.advance(TIMETABLE.announce + TIMETABLE.skew);
    await ring.refresh();
    const second = await present();
    assert.deepEqual(second, await mentioned());
    assert.equal(second.length, 1);
    assert.notDeepEqual(second, first);
    assert.equal(ring.current().published.length, 2, 'tokens of the first still verify');
  });

  it('A revoked key is destroyed in the HSM', async () => {
    const ring = await openRing();
    const [key] = ring.current().signing;
    const before = await present();
    await changeRing(ringRecords(temporary.store, masterKey), steps(), (ring) =>
      revokeNow(ring, key?.kid ?? '', steps()),
    );
    const after = await present();
    assert.equal(after.length, 1);
    assert.notDeepEqual(after, before);
  });

  it('A revoked key leaves the ring while the HSM is away and is destroyed when it is back', async () => {
    const ring = await openRing();
    const left = await present();
    const kid = ring.current().signing[0]?.kid ?? '';
    await ring.close();
    await withoutHsm(() =>
      changeRing(ringRecords(temporary.store, masterKey), steps(), (ring) => revokeNow(ring, kid, steps())),
    );
    assert.deepEqual((await content()).keys, []);
    assert.equal(failures.length, 2, 'neither could another key be made nor this one destroyed');
    temporary.clock.advance(2 * HOUR);
    await openRing();
    assert.deepEqual(await present(), await mentioned());
    assert.ok(!(await present()).includes(left[0] ?? ''));
  });

  it('A key is found and destroyed if its node died before it wrote the key to the ring', async () => {
    await openRing();
    const dying = dyingStore(temporary.store, 0);
    temporary.clock.advance(TIMETABLE.sign - TIMETABLE.announce);
    await assert.rejects(openRing({ records: dying }), /the process has died/);
    assert.equal((await present()).length, 2, 'one was made in vain');

    const ring = await openRing();
    assert.equal((await present()).length, 3, 'a young one may still be written');
    temporary.clock.advance(2 * HOUR);
    await ring.refresh();
    assert.deepEqual(await present(), await mentioned());
    assert.deepEqual(failures, []);
  });

  it('The keys of another ring in the same token are never destroyed', async () => {
    const theirs = newId('key', { now: () => 0 }, systemRandom);
    await hsm.generate('ES256', theirs, 'latchkey of somebody else');
    await openRing();
    assert.deepEqual(await hsm.names('latchkey of somebody else'), [theirs]);
  });

  it('While the HSM is away, only the next key is delayed', async () => {
    const ring = await openRing();
    temporary.clock.advance(TIMETABLE.sign - TIMETABLE.announce);
    await withoutHsm(() => ring.refresh());
    assert.ok(failures.length > 0 && failures.every((failure) => failure instanceof SignerUnavailable));
    assert.equal(ring.current().keys.length, 1);
    await ring.refresh();
    assert.equal(ring.current().keys.length, 2);
  });

  it('A slowly created key is still announced for the full time', async () => {
    const slow: ExternalSigner = {
      ...shared(),
      generate(...what) {
        temporary.clock.advance(TIMETABLE.cache);
        return shared().generate(...what);
      },
    };
    const ring = await openRing({ external: { signer: slow, makesNewKeys: true } });
    temporary.clock.advance(TIMETABLE.sign - TIMETABLE.announce);
    await ring.refresh();
    const next = ring.current().keys[1] ?? assert.fail();
    assert.equal(next.signsFrom, temporary.clock.now() + TIMETABLE.announce * 1000);
  });

  it('A node with another token reports a missing key as soon as it is announced', async () => {
    const inRing = { signer: shared(), makesNewKeys: false };
    const here = await openRing({ external: inRing });
    const elsewhere = await openPkcs11Signer(freshToken(), ['ES256']);
    const there = await openRing({ external: { signer: elsewhere, makesNewKeys: true } });
    await here.close();
    temporary.clock.advance(TIMETABLE.sign - TIMETABLE.announce);
    await openRing();
    await there.refresh();
    assert.equal(there.current().keys.length, 2);
    const messages = failures.map(String);
    assert.ok(messages.length > 0 && messages.every((text) => text.includes('every node needs the same token')));
  });

  it('A new key is not announced if the HSM’s signature does not verify', async () => {
    const broken: ExternalSigner = { ...shared(), sign: () => Promise.resolve(Buffer.alloc(64)) };
    await assert.rejects(openRing({ external: { signer: broken, makesNewKeys: true } }), {
      name: 'SignerUnavailable',
      message: /^the HSM makes invalid signatures with its new ES256 key \S+$/,
    });
    assert.deepEqual((await content()).keys, []);
  });

  describe('Keys in the HSM and in the ring', () => {
    it('Keys in the ring and in the HSM replace each other, each after its full time', async () => {
      const inRing = { signer: shared(), makesNewKeys: false };
      const turn = async (options: Partial<KeyRingOptions>): Promise<string[]> => {
        const ring = await openRing(options);
        temporary.clock.advance(TIMETABLE.sign - TIMETABLE.announce);
        await ring.refresh();
        const places = ring
          .current()
          .keys.map(({ external, privateJwk }) =>
            external !== undefined ? 'HSM' : privateJwk === undefined ? 'destroyed' : 'ring',
          );
        temporary.clock.advance(TIMETABLE.announce + TIMETABLE.skew);
        await ring.close();
        return places;
      };
      assert.deepEqual(await turn({ external: undefined }), ['ring', 'ring']);
      assert.deepEqual(await turn({}), ['ring', 'HSM']);
      assert.deepEqual(await turn({ external: inRing }), ['HSM', 'ring']);
      assert.deepEqual(await turn({ external: inRing }), ['ring', 'ring']);
      assert.deepEqual(await present(), []);
      await openRing({ external: undefined });
    });
  });

  describe('Start with unavailable keys', () => {
    it('A node without a configured HSM does not start', async () => {
      await openRing();
      await assert.rejects(openRing({ external: undefined }), {
        name: 'SignerUnavailable',
        message: /^The private key of ES256 key \S+ is in an HSM, but the configuration names no HSM: set keys\.pkcs11/,
      });
    });

    it('A node with another token does not start', async () => {
      const ring = await openRing();
      const elsewhere = await openPkcs11Signer(freshToken(), ['ES256']);
      const { kid = '', external = '' } = ring.current().signing[0] ?? {};
      await assert.rejects(openRing({ external: { signer: elsewhere, makesNewKeys: true } }), {
        name: 'SignerUnavailable',
        message: `The private key of ES256 key ${kid} is not in the HSM under its name ${external}: every node needs the same token. If the private key is lost for good, run "latchkey keys revoke -- ${kid}".`,
      });
      assert.equal((await present()).length, 1, 'nothing was touched');
    });
  });
});
